"""Attaches many times to a healthy TensorFlow 2 training job, and compares its losses with those of a job left alone.

A hundred attaches go to one job; each such part is kept in a file as soon as it is done, so that a run that was
interrupted goes on where it was.

    python bench/harmless.py --attaches 500 --keep harmless.jsonl
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from diagnostics.collector import procfs
from diagnostics.model import Process
from diagnostics.transport import Options, Target, collect
from repro.runtimes import ensure

TRAINING = """
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

with open(home + "/losses", "w", 1) as file:
    for number, batch in enumerate(data):
        file.write(repr(float(step(batch))) + "\\n")
        if number + 1 == steps or os.path.exists(home + "/stop"):
            break
"""


def start(home: Path, steps: int) -> subprocess.Popen[bytes]:
    home.mkdir()
    environ = os.environ | {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    argv = [str(ensure("tf2").python), "-c", TRAINING, str(home), str(steps)]
    return subprocess.Popen(argv, env=environ, stderr=subprocess.DEVNULL)


def losses(home: Path) -> list[str]:
    path = home / "losses"
    return path.read_text().splitlines() if path.exists() else []


class Part(msgspec.Struct):
    """What came of some attaches to one job. Times in seconds."""

    attaches: int
    without_a_stack: int
    seconds: float
    steps: int
    steps_while_attaching: int
    exit_status: int
    same_losses: bool
    pauses: list[float]


def attach_often(attaches: int, home: Path, tell: Callable[[int, Process], None]) -> Part:
    job = start(home / "watched", -1)
    try:
        while len(losses(home / "watched")) < 20:
            if job.poll() is not None:
                sys.exit("the job did not start")
            time.sleep(0.1)
        pauses, without = [], 0
        began, first = time.monotonic(), len(losses(home / "watched"))
        for number in range(attaches):
            (process,) = collect([Target(job.pid, "worker:0")], Options(gap=0.0)).processes
            pauses.append(process.pause)
            without += not process.threads
            if procfs.state_of(job.pid) not in ("R", "S", "D"):
                sys.exit(f"after an attach the job is in state {procfs.state_of(job.pid)!r}")
            tell(number + 1, process)
        seconds, last = time.monotonic() - began, len(losses(home / "watched"))
        (home / "watched" / "stop").touch()
        status = job.wait(60)
    finally:
        job.kill()
        job.wait()
    watched = losses(home / "watched")
    left_alone = start(home / "alone", len(watched))
    try:
        left_alone.wait()
    finally:
        left_alone.kill()
        left_alone.wait()
    same = watched == losses(home / "alone")
    return Part(attaches, without, seconds, len(watched), last - first, status, same, pauses)


def summary(parts: Sequence[Part]) -> dict[str, object]:
    pauses = [pause for part in parts for pause in part.pauses]
    seconds = sum(part.seconds for part in parts)
    return {
        "attaches": sum(part.attaches for part in parts),
        "jobs": len(parts),
        "without a stack": sum(part.without_a_stack for part in parts),
        "seconds": round(seconds, 1),
        "exit status": max((part.exit_status for part in parts), key=abs),
        "steps": sum(part.steps for part in parts),
        "steps a second while attaching": round(sum(part.steps_while_attaching for part in parts) / seconds, 1),
        "same losses": all(part.same_losses for part in parts),
        "pause median ms": round(1000 * statistics.median(pauses), 1),
        "pause max ms": round(1000 * max(pauses), 1),
    }


def kept(path: Path) -> list[Part]:
    return [msgspec.json.decode(line, type=Part) for line in path.read_bytes().splitlines()] if path.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attaches", type=int, default=500)
    parser.add_argument("--each", type=int, default=100, help="attaches to one job, which is then compared")
    parser.add_argument("--keep", type=Path, default=Path("harmless.jsonl"), help="what is done; a next call goes on")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    parts = kept(arguments.keep)
    while (left := arguments.attaches - sum(part.attaches for part in parts)) > 0:
        before = arguments.attaches - left

        def tell(number: int, process: Process, before: int = before) -> None:
            stood = f"{process.stacks_from}, stood for {1000 * process.pause:.1f} ms"
            said = f"{before + number} of {arguments.attaches}: {stood}"
            print(said, file=sys.stderr, flush=True)

        with tempfile.TemporaryDirectory(prefix="lastbatch-harmless-") as home:
            parts.append(attach_often(min(left, arguments.each), Path(home), tell))
        with arguments.keep.open("ab") as file:
            file.write(msgspec.json.encode(parts[-1]) + b"\n")
    row = summary(parts)
    if arguments.json:
        print(msgspec.json.encode(row).decode())
    else:
        for name, value in row.items():
            print(f"{name:32} {value}")


if __name__ == "__main__":
    main()
