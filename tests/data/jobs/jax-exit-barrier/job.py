import os
import sys
import time

import jax
import jax.numpy as jnp


def export(w):
    """A converter of another team picks the file up and removes it."""
    jnp.save("weights.npy", w)
    print("exported hung_at", time.time(), flush=True)
    fd = os.open("converter.fifo", os.O_WRONLY)  # tell it
    os.write(fd, b"weights.npy\n")


def train(steps=20):
    w = jnp.zeros(4)
    f = jax.jit(lambda w: w - 0.1 * jax.grad(lambda v: jnp.sum((v - 2) ** 2))(w))
    for _ in range(steps):
        w = f(w)
    return w


i = int(os.environ["PROC"])
jax.distributed.initialize(sys.argv[1], num_processes=2, process_id=i, shutdown_timeout_seconds=7200)
w = train()
if i == 0:
    os.mkfifo("converter.fifo")
    export(w)
print("process", i, "is done", flush=True)
jax.distributed.shutdown()
