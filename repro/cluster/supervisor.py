"""Parent of a trial's processes: nothing that it starts outlives the program that started it.

Run as a script, with one JSON line on standard input: a list of `{"rank", "argv", "env", "cwd", "log"}`. Says
`{"rank", "pid"}` for each process that it started, `{"rank", "error"}` for the first that could not be, and
`{"rank", "status"}` for each that ended (negative: the signal), one JSON line each. When its standard input closes,
which the kernel does even after `kill -9` of the program, it ends every descendant, then itself. When *it* is
killed, the kernel ends its children.

Standard library only: it is started before anything else, once a trial.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """In a child, before exec: be killed when the parent ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def say(**message: Any) -> None:
    # Nobody listens any more after the program was killed; ending the processes matters more.
    try:
        print(json.dumps(message), flush=True)
    except OSError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115


def start(spec: dict[str, Any]) -> tuple[subprocess.Popen[bytes], int]:
    """Start one process; the second value is the end of its lifeline to hold."""
    reading, holding = os.pipe()
    with open(spec["log"], "ab", buffering=0) as log:
        process = subprocess.Popen(
            spec["argv"], stdin=reading, stdout=log, stderr=log, cwd=spec["cwd"], env=spec["env"],
            start_new_session=True, preexec_fn=die_with_parent,
        )  # fmt: skip
    os.close(reading)
    return process, holding


def children_of(parents: set[int]) -> set[int]:
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            if parent in parents:
                found.add(int(entry.name))
    return found


def descendants(pid: int) -> set[int]:
    known: set[int] = set()
    generation = children_of({pid})
    while generation:
        known |= generation
        generation = children_of(generation) - known
    return known


def end_descendants() -> None:
    """Kill and reap until there is nobody left: as a subreaper, orphans come to us."""
    while True:
        for pid in descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError):  # gone by itself
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def end_on_signal(*_: object) -> None:
    end_descendants()
    os._exit(1)


def main() -> None:
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, end_on_signal)
    started: dict[int, str] = {}
    kept = []  # a Popen that is dropped reaps its process, and we would never hear of its end
    try:
        for spec in json.loads(sys.stdin.buffer.readline()):
            try:
                process, lifeline = start(spec)
            except OSError as error:
                say(rank=spec["rank"], error=str(error))
                return
            kept.append((process, lifeline))
            started[process.pid] = spec["rank"]
            say(rank=spec["rank"], pid=process.pid)
        with selectors.DefaultSelector() as selector:
            selector.register(sys.stdin, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            while not any(key.fileobj is sys.stdin for key, _ in selector.select()):
                os.read(woken, 4096)
                report_ended(started)
    finally:
        end_descendants()


def report_ended(started: dict[int, str]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        if pid in started:
            say(rank=started[pid], status=os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
