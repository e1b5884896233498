"""What `lastbatch watch` costs: its own CPU time, as a share of one core, while it watches processes that do not end.

It only reads /proc, so what it costs does not depend on what the processes do, but on how many there are.

    python bench/watch.py                    8 processes with 34 threads each, for a minute, at two settings
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import msgspec

from diagnostics.collector import procfs

TARGET = """
import sys, threading
for number in range(int(sys.argv[1]) - 1):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
print("ready", flush=True)
while not threading.Event().wait(0.01):  # moves enough not to be taken for hung
    sum(range(8000))
"""


@contextmanager
def targets(count: int, threads: int) -> Iterator[list[int]]:
    with ExitStack() as stack:
        pids = []
        for _ in range(count):
            argv = [sys.executable, "-c", TARGET, str(threads)]
            process = stack.enter_context(subprocess.Popen(argv, stdout=subprocess.PIPE))
            stack.callback(process.kill)
            assert process.stdout
            process.stdout.readline()
            pids.append(process.pid)
        yield pids


def starting_up(pid: int, look: float = 3.0) -> bool:
    """Whether it still works as nothing but its start does: a tenth of a core, and more than any look takes."""
    before = procfs.cpu_of(pid)
    time.sleep(look)
    used = procfs.cpu_of(pid)
    return used < 0.2 or used - before > 0.1 * look


def cost(pids: Sequence[int], hang_after: float, seconds: float) -> dict[str, float]:
    """Without the time that it takes to start."""
    named = [word for pid in pids for word in ("--pid", str(pid))]
    argv = [sys.executable, "-m", "repro", "watch", "--hang-after", str(hang_after), *named]
    with tempfile.TemporaryDirectory() as home, subprocess.Popen(argv, cwd=home) as watcher:
        try:
            while starting_up(watcher.pid):
                time.sleep(1)
            began, before = time.monotonic(), procfs.cpu_of(watcher.pid)
            time.sleep(seconds)
            if watcher.poll() is not None:
                sys.exit("it ended while it was measured")
            used, took = procfs.cpu_of(watcher.pid) - before, time.monotonic() - began
        finally:
            watcher.kill()
    return {"processes": len(pids), "hang after s": hang_after, "percent of a core": round(100 * used / took, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--threads", type=int, default=34)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with targets(arguments.processes, arguments.threads) as pids:
        rows = [cost(pids, hang_after, arguments.seconds) for hang_after in (10.0, 60.0)]
    if arguments.json:
        print(msgspec.json.encode(rows).decode())
        return
    for row in rows:
        print("  ".join(f"{name} {value:g}" for name, value in row.items()))


if __name__ == "__main__":
    main()
