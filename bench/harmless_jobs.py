"""Healthy jobs that `harmless.py` attaches to: a step is always the same, whoever looks on. Each rank is a process.

A rank writes its loss of every step into `HOME/losses.RANK`, and stops when all have agreed to (`HOME/stop`), or after
that many steps.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from repro.cluster.ports import lease
from repro.runtimes import ensure

TENSORFLOW = """
import os, sys
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.keras.utils.set_random_seed(7)
tf.config.experimental.enable_op_determinism()
home, steps = sys.argv[1], int(sys.argv[2])
data = tf.data.Dataset.range(100000).map(
    lambda i: tf.random.stateless_uniform([32, 64], [7, i]), num_parallel_calls=2).repeat().prefetch(2)
w1 = tf.Variable(tf.random.stateless_normal([64, 256], [1, 2]))
w2 = tf.Variable(tf.random.stateless_normal([256, 1], [3, 4]))

@tf.function
def step(x):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((tf.tanh(x @ w1) @ w2 - tf.reduce_sum(tf.sin(x), 1, keepdims=True)) ** 2)
    for variable, gradient in zip((w1, w2), tape.gradient(loss, [w1, w2])):
        variable.assign_sub(1e-4 * gradient)
    return loss

with open(home + "/losses.0", "w", 1) as file:
    for number, batch in enumerate(data):
        file.write(repr(float(step(batch))) + "\\n")
        if number + 1 == steps or os.path.exists(home + "/stop"):
            break
"""

TORCH = """
import os, sys
import torch
import torch.distributed as dist
from torch import nn

torch.set_num_threads(1)
torch.manual_seed(7)
home, steps, wrapped = sys.argv[1], int(sys.argv[2]), sys.argv[3]
dist.init_process_group("gloo")
rank = dist.get_rank()
model = nn.Sequential(nn.Linear(64, 256), nn.Tanh(), nn.Linear(256, 256), nn.Tanh(), nn.Linear(256, 1))
if wrapped == "ddp":
    model = nn.parallel.DistributedDataParallel(model)
else:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    model = fully_shard(model, mesh=init_device_mesh("cpu", (dist.get_world_size(),)))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
with open("%s/losses.%d" % (home, rank), "w", 1) as file:
    number = 0
    while True:
        data = torch.Generator().manual_seed(2 * number + rank)
        x = torch.rand(32, 64, generator=data)
        loss = ((model(x) - x.sin().sum(1, keepdim=True)) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        file.write(repr(float(loss.detach())) + "\\n")
        number += 1
        done = torch.tensor([number == steps or os.path.exists(home + "/stop")], dtype=torch.int32)
        dist.all_reduce(done)
        if done.item():
            break
dist.destroy_process_group()
"""

JOBS = {"tf2": (TENSORFLOW, "tf2", 1), "ddp": (TORCH, "torch", 2), "fsdp": (TORCH, "torch", 2)}
"""name -> its program, what it runs on, and how many ranks it has."""


class Job:
    """Ranks that run. `home` is where they write."""

    def __init__(self, home: Path, ranks: Sequence[subprocess.Popen[bytes]]) -> None:
        self._home, self._ranks = home, ranks
        self.pids = [one.pid for one in ranks]

    def losses(self) -> list[list[str]]:
        """Those of each rank."""
        paths = [self._home / f"losses.{rank}" for rank in range(len(self._ranks))]
        return [path.read_text().splitlines() if path.exists() else [] for path in paths]

    def steps(self) -> int:
        return min(map(len, self.losses()))

    def has_ended(self) -> bool:
        return any(one.poll() is not None for one in self._ranks)

    def stop(self) -> None:
        (self._home / "stop").touch()

    def wait(self) -> int:
        """The first exit status that is not 0, if there is one."""
        statuses = [one.wait() for one in self._ranks]
        return next(filter(None, statuses), 0)


@contextmanager
def running(name: str, home: Path, steps: int) -> Iterator[Job]:
    """That job, for so many steps; -1: until it is stopped."""
    program, runtime, count = JOBS[name]
    home.mkdir()
    environ = os.environ | {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    argv = [str(ensure(runtime).python), "-c", program, str(home), str(steps), name]
    with lease(1) as (port,):
        environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
        each = [environ | {"RANK": str(rank)} for rank in range(count)]
        ranks = [subprocess.Popen(argv, env=one, stderr=subprocess.DEVNULL) for one in each]
        try:
            yield Job(home, ranks)
        finally:
            for one in ranks:
                one.kill()
                one.wait()
