"""What `lastbatch attach` takes besides the gap between its samples, on processes that stand in locks.

The machine may be busy with something else: so several runs, of which the quickest counts, and the CPU time of the
command with everything that it started.

    python bench/attach_overhead.py                 one process, with a child
    python bench/attach_overhead.py --processes 1 64
    python bench/attach_overhead.py --lastbatch OTHER/bin/lastbatch    another release beside it, in turns
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

STUCK = """
import os, signal, sys, threading
lock = threading.Lock()

def prefetch(lock):
    lock.acquire()

def wait_for_batch(lock):
    lock.acquire()

def work():
    threading.Thread(target=prefetch, args=(lock,), daemon=True).start()
    os.write(1, b"%d\\n" % os.getpid())  # in one piece
    wait_for_batch(lock)

lock.acquire()
children = []
for _ in range(int(sys.argv[1])):
    pid = os.fork()
    if not pid:
        work()
    children.append(pid)
sys.stdin.read()
for pid in children:
    os.kill(pid, signal.SIGKILL)
"""
SETTLED = 65.0
"""Seconds after which a rank that stands still is judged by two samples."""


@contextmanager
def stuck(count: int, stood: float) -> Iterator[list[int]]:
    """So many processes of two threads, which have stood still for `stood` seconds."""
    parent = subprocess.Popen(
        [sys.executable, "-c", STUCK, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout
    try:
        pids = [int(parent.stdout.readline()) for _ in range(count)]
        time.sleep(stood)
        yield pids
    finally:
        parent.communicate()


def measure(command: str, pids: Sequence[int], gap: float, home: Path) -> dict[str, Any]:
    """One attach, from its start to its end: seconds."""
    before, began = os.times(), time.monotonic()
    out = home / "evidence.tar.zst"
    words = [command, "attach", *map(str, pids), "--gap", str(gap), "--out", str(out)]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    wall, after = time.monotonic() - began, os.times()
    out.unlink(missing_ok=True)
    if done.returncode not in (0, 1):
        sys.exit(f"{command} ended with {done.returncode}: {done.stderr.strip()}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"command": command, "processes": len(pids), "wall_s": wall, "besides_gap_s": wall - gap, "cpu_s": cpu}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="*", default=[1])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--gap", type=float, default=1.0)
    parser.add_argument("--stood", type=float, default=SETTLED, help="seconds that the processes stand still before")
    parser.add_argument("--lastbatch", action="append", default=[], help="another release, in turns with ours")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    commands = [os.path.join(sysconfig.get_path("scripts"), "lastbatch"), *asked.lastbatch]
    home = Path(tempfile.mkdtemp(prefix="lastbatch-bench-"))
    try:
        with ExitStack() as stack:
            jobs = [stack.enter_context(stuck(count, 0.0)) for count in asked.processes]
            time.sleep(asked.stood)
            runs = [
                measure(command, pids, asked.gap, home)
                for pids in jobs
                for _ in range(asked.runs)
                for command in commands
            ]
    finally:
        shutil.rmtree(home)
    if asked.json:
        print(msgspec.json.encode(runs).decode())
        return
    print(f"{'processes':>9} {'besides the gap: best':>22} {'median':>8} {'CPU: best':>10} {'median':>8}   command")
    for count, command in ((count, command) for count in asked.processes for command in commands):
        of = [one for one in runs if (one["processes"], one["command"]) == (count, command)]
        walls = sorted(one["besides_gap_s"] for one in of)
        cpu = sorted(one["cpu_s"] for one in of)
        middle = len(of) // 2
        figures = f"{walls[0]:20.2f} s {walls[middle]:6.2f} s {cpu[0]:8.2f} s {cpu[middle]:6.2f} s"
        print(f"{count:9} {figures}   {command}")


if __name__ == "__main__":
    main()
