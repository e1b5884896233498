"""What a sample tells of a process from outside: since when its threads sleep, and what it reads and writes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diagnostics.model import Process
from diagnostics.transport import Options, Target, observe

SLEEPER = """
import sys, threading, time
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
log = open(sys.argv[1], "a")
print("ready", flush=True)
sys.stdin.readline()
log.write("line\\n"); log.flush()
print("written", flush=True)
sys.stdin.readline()
"""


@contextmanager
def started(program: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", program, *map(str, arguments)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def seen(process: subprocess.Popen[str]) -> Process:
    (found,) = observe([Target(process.pid)], Options(gap=0.2)).processes
    return found


def test_a_thread_tells_since_when_it_sleeps_and_a_file_since_when_it_has_not_grown(tmp_path: Path) -> None:
    """GIVEN a program that wrote its log some time ago, THEN the age of both is told within a quarter second."""
    with started(SLEEPER, tmp_path / "log") as process:
        assert said(process) == "ready"
        before = seen(process)
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
        assert said(process) == "written"
        slept_from = time.monotonic()
        while time.monotonic() - slept_from < 1.5:
            time.sleep(0.1)
        after = seen(process)
        last = after.samples[-1]
        age = last.at - slept_from
        main, other = last.threads
        assert abs(main.last_ran - age) < 0.25, (main, age)
        assert other.last_ran > main.last_ran
        assert abs(last.file_age - age) < 0.25
        assert last.io_bytes > before.samples[-1].io_bytes
        assert last.file_offsets == before.samples[-1].file_offsets + len("line\n")
        assert abs(after.age - before.age) < 10 and after.age > 1.5
        assert after.parent > 0
