"""How many threads of hung jobs are read without a stop, and whether their frames are those of a stopped reading.

Each thread is read twice, first while it sleeps on, then stopped. One that is not known whole without a stop would be
stopped by an attach: it is counted as such, and what is known of it must be the inner end of the stopped reading.
Python's frames likewise, by py-spy with and without `--nonblocking`.

    python bench/unstopped.py --comparisons 1000      # of each of four jobs
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import msgspec

from diagnostics.collector import procfs
from diagnostics.collector.stacks import pyspy
from diagnostics.collector.stacks.unwind import stop
from diagnostics.collector.stacks.unwind.worker import Unwinder, is_outermost
from diagnostics.transport.program import libraries, py_spy
from repro.runtimes import ensure

PLAIN = """
import queue, select, socket, subprocess, sys, threading
lock = threading.Lock()
server = socket.create_server(("127.0.0.1", 0))
ways = [lock.acquire, queue.Queue().get, threading.Event().wait, server.accept, lambda: select.select([server], [], []),
        threading.Barrier(2).wait, lambda: sys.stdin.buffer.peek()]
lock.acquire()
for way in ways * 4:
    threading.Thread(target=way, daemon=True).start()
print("ready", flush=True)
threading.Condition().__enter__() and ways[1]()
"""
TORCH = """
import os, tempfile, threading
import torch, torch.distributed as dist
store = tempfile.mkdtemp() + "/store"
loader = torch.utils.data.DataLoader(range(8), num_workers=0)
rank = 0 if os.fork() else 1
dist.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=2)
model = torch.nn.Linear(64, 64)
model(torch.ones(256, 64)).sum().backward()
dist.all_reduce(torch.ones(1))
if rank:
    threading.Thread(target=lambda: (os.read(0, 1), os._exit(0)), daemon=True).start()
    threading.Event().wait()
print("ready", flush=True)
dist.all_reduce(torch.ones(1))
"""
TF1 = """
import tensorflow as tf
config = tf.ConfigProto(inter_op_parallelism_threads=4, intra_op_parallelism_threads=4)
server = tf.train.Server.create_local_server(config=config)
item = tf.FIFOQueue(2, tf.int32).dequeue()
with tf.Session(server.target) as session:
    session.run(tf.matmul(tf.ones([64, 64]), tf.ones([64, 64])))
    print("ready", flush=True)
    session.run(item)
"""
TF2 = """
import threading
import tensorflow as tf
held = threading.Event()
def rows():
    yield 1
    held.wait()
data = tf.data.Dataset.from_generator(rows, tf.int32).map(lambda x: x + 1, num_parallel_calls=4).prefetch(2)
@tf.function
def step(x):
    return tf.matmul(tf.ones([64, 64]), tf.ones([64, 64])) + tf.cast(x, tf.float32)
for batch in data:
    step(batch)
    print("ready", flush=True)
"""
JOBS = {"plain Python": ("", PLAIN), "torch": ("torch", TORCH), "tf1.12": ("tf1.12", TF1), "tf2": ("tf2", TF2)}

Stacks = dict[int, list[Any]]


@contextmanager
def hung(runtime: str, source: str) -> Iterator[int]:
    """A process that says that it is ready and stands then; it has settled."""
    python = ensure(runtime).python if runtime else sys.executable
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    process = subprocess.Popen(
        [python, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=environ | {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    assert process.stdout and process.stdin
    try:
        if process.stdout.readline() != b"ready\n":
            sys.exit(f"the job did not come up: {runtime or 'plain Python'}")
        while not _is_calm(process.pid):
            pass
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def _is_calm(pid: int) -> bool:
    """Its own start-up work is over."""
    before = procfs.cpu_of(pid)
    time.sleep(1)
    return procfs.cpu_of(pid) - before < 0.05


def asleep_and_stopped(unwinder: Unwinder, pid: int) -> tuple[Stacks, Stacks, float]:
    """Each thread's frames, outermost first: as read without a stop, then stopped, and for how long that was."""
    quiet = unwinder.read(pid, may_stop=False)
    with patch.object(stop, "quiet", return_value={}):
        stopped = unwinder.read(pid)
    return dict(quiet["threads"]), dict(stopped["threads"]), stopped["pause"]


def python_frames(pid: int, *options: str) -> Stacks:
    told = msgspec.json.decode(pyspy.ask(pid, 20.0, *options))
    return {one["os_thread_id"]: [(frame["name"], frame["line"]) for frame in one["frames"]] for one in told}


def compared(quiet: Stacks, stopped: Stacks) -> Counter[str]:
    """Of native stacks: how many of each kind. A thread that began since the first reading has no frames in it."""
    found = Counter[str]()
    for tid, whole in stopped.items():
        frames = quiet.get(tid, [])
        found["threads"] += 1
        if frames and is_outermost(frames[0][0]):
            found["not stopped"] += 1
            found["equal" if frames == whole else "wrong"] += 1
        else:
            ends_alike = frames == whole[len(whole) - len(frames) :]
            found["shorter" if ends_alike else "shorter and wrong"] += 1
    return found


def measure(name: str, comparisons: int) -> dict[str, Any]:
    runtime, source = JOBS[name]
    counts = Counter[str]()
    pauses: list[float] = []
    same = of = 0
    unwinder = Unwinder(libraries())
    with hung(runtime, source) as pid:
        while counts["threads"] < comparisons:
            quiet, stopped, pause = asleep_and_stopped(unwinder, pid)
            pauses.append(pause)
            counts += compared(quiet, stopped)
            if of < comparisons // 10:
                asleep, still = python_frames(pid, "--nonblocking"), python_frames(pid)
                same, of = same + sum(asleep.get(tid) == frames for tid, frames in still.items()), of + len(still)
    return {
        "job": name, "threads": counts["threads"], "not stopped": counts["not stopped"], "equal": counts["equal"],
        "wrong": counts["wrong"], "shorter": counts["shorter"], "shorter and wrong": counts["shorter and wrong"],
        "share not stopped": round(counts["not stopped"] / counts["threads"], 4),
        "share equal": round(counts["equal"] / max(counts["not stopped"], 1), 4),
        "Python compared": of, "Python equal": same,
        "ms of a stopped reading": round(1000 * sorted(pauses)[len(pauses) // 2], 2),
    }  # fmt: skip


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--comparisons", type=int, default=1000, help="of native stacks, in each job; of Python's a tenth"
    )
    parser.add_argument("--only", choices=sorted(JOBS), nargs="*", default=list(JOBS))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(words)
    pyspy.place[:] = [py_spy()]
    rows = [measure(name, asked.comparisons) for name in asked.only]
    if asked.json:
        print(msgspec.json.encode(rows).decode())
        return
    for row in rows:
        print("  ".join(f"{name}: {value}" for name, value in row.items()))


if __name__ == "__main__":
    main()
