"""What a rung of the ladder that reads stacks looks like, and how one is run: timed, bounded, pause measured."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from diagnostics.collector import procfs
from diagnostics.model import Attempt, Thread

_PAUSE_POLL = 0.002


class RungError(Exception):
    """Why this rung could not answer, in words for the roll call."""


class Reading(NamedTuple):
    """What a rung read. `pause` is for how many seconds it stopped the target, -1 where it does not say."""

    threads: tuple[Thread, ...]
    pause: float = -1.0


Read = Callable[[int, float], Reading]
"""Takes a pid and a number of seconds; raises `RungError`."""


class Rung(NamedTuple):
    """A way to get stacks. `gentle` reads a process that no tracer may touch: stopped, or in state D."""

    name: str
    read: Read
    native: bool  # whether it shows native frames of all threads
    merged: bool = False  # whether Python's frames are already in their places among them
    gentle: Read | None = None


class PauseMeter:
    """Measures from outside for how long a process is stopped by a tracer (state t), within 2 ms."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.seconds = 0.0

    def _watch(self) -> None:
        since = None
        while True:
            last = self._done.wait(_PAUSE_POLL)
            stopped = procfs.state_of(self._pid) == "t"
            now = time.monotonic()
            if stopped and since is None:
                since = now
            elif since is not None and (last or not stopped):
                self.seconds += now - since
                since = None
            if last:
                return

    def __enter__(self) -> PauseMeter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def attempt(name: str, read: Read, pid: int, budget: float) -> tuple[Attempt, tuple[Thread, ...]]:
    """Run one rung on one process, for at most `budget` seconds; leaves it running if it ran before."""
    began = time.monotonic()
    reading = Reading(())
    why_not = ""
    was_stopped = procfs.state_of(pid) == "T"
    with PauseMeter(pid) as pause:
        try:
            reading = read(pid, budget)
        except RungError as error:
            why_not = str(error)
    if not was_stopped:
        set_running(pid)
    seconds = time.monotonic() - began
    stood = reading.pause if reading.pause >= 0 else pause.seconds
    return Attempt(name, not why_not, round(seconds, 3), round(stood, 4), why_not), reading.threads


def set_running(pid: int, patience: float = 0.5) -> None:
    """Continue a process that a tool left stopped: one killed while it attaches leaves its SIGSTOP behind.

    The kernel lets go of a dead tracer's targets by itself, within `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while procfs.state_of(pid) in ("T", "t"):
        if procfs.state_of(pid) == "T":
            os.kill(pid, signal.SIGCONT)
        if time.monotonic() > deadline:
            return
        time.sleep(_PAUSE_POLL)


def run_tool(argv: Sequence[str], budget: float, may_fail: bool = False) -> bytes:
    """Standard output of a tool that reads another process; `may_fail`: what it said counts, not how it ended.

    Raises:
        RungError: it is not there, did not end in time, or failed; with its own last words.
    """
    environ = os.environ | {"DEBUGINFOD_URLS": "", "LC_ALL": "C"}  # nothing is fetched from afar while a target waits
    try:
        tool = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ
        )
    except FileNotFoundError:
        raise RungError(f"{argv[0]} is not installed") from None
    try:
        output, errors = tool.communicate(timeout=max(budget, 0.1))
    except subprocess.TimeoutExpired:
        tool.kill()
        # One that reads from a dead file system does not even end by that; it is left behind.
        with suppress(subprocess.TimeoutExpired):
            tool.communicate(timeout=1)
        raise RungError(f"did not end within {budget:.0f} s") from None
    if tool.returncode and not (may_fail and output):
        words = errors.decode("utf-8", "replace").strip().splitlines()
        raise RungError(explain(words[-1] if words else f"ended with {tool.returncode}"))
    return output


def explain(words: str) -> str:
    """The tool's words, with what to do where it is known."""
    lowered = words.lower()
    if "operation not permitted" in lowered or "permission denied" in lowered:
        return "not permitted to read this process: run as its user or root, with CAP_SYS_PTRACE in a container"
    return words
