"""What a rung of the ladder that reads stacks looks like, and how one is run: timed, bounded, pause measured."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from diagnostics.collect import procfs
from diagnostics.model import Attempt, Thread

_PAUSE_POLL = 0.002


class RungError(Exception):
    """Why this rung could not answer, in words for the roll call."""


class Rung(NamedTuple):
    """A way to get stacks. `read` takes a pid and a number of seconds, and raises `RungError`."""

    name: str
    read: Callable[[int, float], tuple[Thread, ...]]
    native: bool  # whether it shows native frames of all threads


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


def attempt(rung: Rung, pid: int, budget: float) -> tuple[Attempt, tuple[Thread, ...]]:
    """Run one rung on one process, for at most `budget` seconds."""
    began = time.monotonic()
    threads: tuple[Thread, ...] = ()
    why_not = ""
    with PauseMeter(pid) as pause:
        try:
            threads = rung.read(pid, budget)
        except RungError as error:
            why_not = str(error)
    seconds = time.monotonic() - began
    return Attempt(rung.name, not why_not, round(seconds, 3), round(pause.seconds, 4), why_not), threads


def run_tool(argv: Sequence[str], budget: float) -> bytes:
    """Standard output of a tool that reads another process.

    Raises:
        RungError: it is not there, did not end in time, or failed; with its own last words.
    """
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=budget, check=False)
    except FileNotFoundError:
        raise RungError(f"{argv[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise RungError(f"did not end within {budget:.0f} s") from None
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise RungError(explain(words[-1] if words else f"ended with {done.returncode}"))
    return done.stdout


def explain(words: str) -> str:
    """The tool's words, with what to do where it is known."""
    lowered = words.lower()
    if "operation not permitted" in lowered or "permission denied" in lowered:
        return "not permitted to read this process: run as its user or root, with CAP_SYS_PTRACE in a container"
    return words
