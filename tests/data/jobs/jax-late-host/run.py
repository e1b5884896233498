import sys
import time

import jax


def connect(n, i, where):
    print("process", i, "connects, hung_at", time.time(), flush=True)
    jax.distributed.initialize(coordinator_address=where, num_processes=n, process_id=i, initialization_timeout=7200)


def main():
    n, i, where = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    connect(n, i, where)
    print(jax.device_count(), jax.jit(lambda x: x * 2)(jax.numpy.arange(4)))


main()
