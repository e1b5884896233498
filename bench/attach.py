"""How long collectors take on stuck TensorFlow servers, and for how long they stop them. All tools in one run.

The targets are `tf.train.Server` processes of TensorFlow 1.12, idle as a stuck job's servers are. The pause is measured
from inside each target: a thread that sleeps a millisecond at a time notes every longer gap.

    python bench/attach.py                 the table: all tools, 8 processes
    python bench/attach.py --many 64       ours alone, 8 and 64 processes
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from diagnostics.transport import Options, Target, add_stacks, observe
from repro.runtimes import ensure

TARGETS = """
import os, signal, sys, threading, time
count, base, home = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
import tensorflow as tf

def note_gaps(path):
    with open(path, "w", 1) as file:
        last = time.monotonic()
        while True:
            time.sleep(0.001)
            now = time.monotonic()
            if now - last > 0.003:
                file.write("%.6f %.6f\\n" % (last, now - last))
            last = now

def serve(index):
    hosts = ["127.0.0.1:%d" % (base + i) for i in range(count)]
    thread = threading.Thread(target=note_gaps, args=(os.path.join(home, str(os.getpid())),))
    thread.daemon = True
    thread.start()
    config = tf.ConfigProto(inter_op_parallelism_threads=4, intra_op_parallelism_threads=4)
    server = tf.train.Server(tf.train.ClusterSpec({"ps": hosts}), "ps", index, config=config)
    open(os.path.join(home, "ready.%d" % os.getpid()), "w").close()
    server.join()

children = []
for index in range(count):
    pid = os.fork()
    if pid == 0:
        serve(index)
    children.append(pid)
sys.stdin.read()
for pid in children:
    os.kill(pid, signal.SIGKILL)
"""


@contextmanager
def servers(count: int) -> Iterator[tuple[list[int], Path]]:
    """That many servers, and the folder that they note their gaps in."""
    home = Path(tempfile.mkdtemp(prefix="lastbatch-bench-"))
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    parent = subprocess.Popen(
        [ensure("tf1.12").python, "-c", TARGETS, str(count), str(21000 + os.getpid() % 8000), str(home)],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environ | {"CUDA_VISIBLE_DEVICES": ""},
    )
    try:
        while len(ready := list(home.glob("ready.*"))) < count:
            if parent.poll() is not None:
                sys.exit("the servers did not come up")
            time.sleep(0.1)
        time.sleep(2)  # let their own start-up work settle, it would be measured as a pause
        yield sorted(int(path.suffix[1:]) for path in ready), home
    finally:
        parent.communicate()
        shutil.rmtree(home)


def longest_gaps(home: Path, pids: Sequence[int], since: float, until: float) -> list[float]:
    """The longest gap of each target in this time, seconds."""
    found = []
    for pid in pids:
        lines = (line.split() for line in (home / str(pid)).read_text().splitlines())
        gaps = [float(gap) for at, gap in (line for line in lines if len(line) == 2) if since <= float(at) <= until]
        found.append(max(gaps, default=0.0))
    return found


def tool(*argv: str) -> Callable[[list[int]], None]:
    def run(pids: list[int]) -> None:
        for pid in pids:
            subprocess.run(
                [word.replace("PID", str(pid)) for word in argv],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
                env=os.environ | {"DEBUGINFOD_URLS": ""},
            )  # fmt: skip

    return run


def ours(*collectors: str) -> Callable[[list[int]], None]:
    def run(pids: list[int]) -> None:
        collection = observe([Target(pid) for pid in pids], Options(gap=0.0))
        done = add_stacks(collection, Options(collectors=collectors))
        without = [process.pid for process in done.processes if not process.threads]
        if without:
            sys.exit(f"no stack of {without}")

    return run


def beside(name: str) -> str:
    path = os.path.join(sysconfig.get_path("scripts"), name)
    return path if os.path.exists(path) else name


def measure(name: str, run: Callable[[list[int]], None], pids: list[int], home: Path) -> dict[str, Any]:
    began = time.monotonic()
    run(pids)
    ended = time.monotonic()
    time.sleep(0.2)
    gaps = longest_gaps(home, pids, began - 0.01, ended)
    return {
        "tool": name,
        "processes": len(pids),
        "seconds": round(ended - began, 3),
        "pause_median_ms": round(1000 * statistics.median(gaps), 1),
        "pause_max_ms": round(1000 * max(gaps), 1),
    }


def table(rows: Sequence[dict[str, Any]]) -> None:
    print(f"{'tool':42} {'processes':>9} {'seconds':>8} {'pause median ms':>16} {'pause max ms':>13}")
    for row in rows:
        print(
            f"{row['tool']:42} {row['processes']:9} {row['seconds']:8.2f} "
            f"{row['pause_median_ms']:16.1f} {row['pause_max_ms']:13.1f}"
        )


def compare() -> list[dict[str, Any]]:
    with servers(8) as (pids, home):
        os.environ["XDG_CACHE_HOME"] = str(home / "cache")  # what a first attach on this machine has to do
        runs = [
            ("nothing (2 s)", lambda pids: time.sleep(2)),
            ("py-spy dump", tool(beside("py-spy"), "dump", "-p", "PID")),
            ("lastbatch, Python only", ours("py-spy")),
            ("lastbatch, all threads, first time", ours("py-spy", "unwind")),
            ("lastbatch, all threads", ours("py-spy", "unwind")),
            ("pystack remote --native-all", tool(beside("pystack"), "remote", "--native-all", "PID")),
            ("py-spy dump --native", tool(beside("py-spy"), "dump", "--native", "-p", "PID")),
            ("eu-stack", tool("eu-stack", "-p", "PID")),
            ("gdb", tool("gdb", "-batch", "-nx", "-p", "PID", "-ex", "thread apply all bt")),
        ]
        return [measure(name, run, pids, home) for name, run in runs]


def grow(many: int) -> list[dict[str, Any]]:
    rows = []
    for count in (8, many):
        with servers(count) as (pids, home):
            ours("py-spy", "unwind")(pids[:1])  # sorts the symbols, once for this machine
            rows.append(measure("lastbatch, all threads", ours("py-spy", "unwind"), pids, home))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--many", type=int, default=0, help="ours alone, on 8 and on so many processes")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = grow(arguments.many) if arguments.many else compare()
    if arguments.json:
        print(msgspec.json.encode(rows).decode())
    else:
        table(rows)


if __name__ == "__main__":
    main()
