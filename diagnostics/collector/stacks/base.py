"""What a stack collector looks like, and how one is run: timed, bounded, the target's pause measured.

CPython 3.6, the standard library alone.
"""

import os
import signal
import subprocess
import threading
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from diagnostics.collector import procfs

_PAUSE_POLL = 0.002


class CollectorError(Exception):
    """Why this stack collector could not answer, in words for the report."""


class Reading(NamedTuple):
    """What a stack collector gave: the words of a tool, or threads.

    `pause` is for how many seconds it stopped the target, -1 where it does not say. `stopped`: how many threads it
    stopped, -1 for all.
    """

    text: str = ""
    threads: Optional[List[Any]] = None
    pause: float = -1.0
    stopped: int = -1


Read = Callable[[int, float], Reading]
"""Takes a pid and a number of seconds; raises `CollectorError`."""


class StackCollector(NamedTuple):
    """A way to get stacks. They are tried by `order`.

    `native`: it shows native frames of all threads; `merged`: Python's frames are already in their places among them.
    `blocked`: it is only for processes with threads that nobody can stop, and what it shows is added to the rest.
    `gentle` reads a process that no tracer may touch: stopped, or in state D.
    """

    name: str
    order: int
    read: Read
    native: bool = False
    merged: bool = False
    blocked: bool = False
    gentle: Optional[Read] = None


class Attempt(NamedTuple):
    """As `diagnostics.model.Attempt`."""

    collector: str
    ok: bool
    seconds: float = 0.0
    pause: float = 0.0
    why_not: str = ""
    stopped: int = -1


class PauseMeter(object):
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

    def __enter__(self) -> "PauseMeter":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def attempt(name: str, read: Read, pid: int, budget: float) -> Tuple[Attempt, Reading]:
    """Run one stack collector on one process, for at most `budget` seconds; leaves it running if it ran before."""
    began = time.monotonic()
    reading = Reading()
    why_not = ""
    was_stopped = procfs.state_of(pid) == "T"
    with PauseMeter(pid) as pause:
        try:
            reading = read(pid, budget)
        except CollectorError as error:
            why_not = str(error)
    if not was_stopped:
        set_running(pid)
    seconds = time.monotonic() - began
    stood = reading.pause if reading.pause >= 0 else pause.seconds
    return Attempt(name, not why_not, round(seconds, 3), round(stood, 4), why_not, reading.stopped), reading


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


def run_tool(
    argv: Sequence[str], budget: float, may_fail: bool = False, keep: Sequence[int] = (), to_end: float = 0.0
) -> bytes:
    """Standard output of a tool that reads another process; `may_fail`: what it said counts, not how it ended.

    `keep`: descriptors that it needs. `to_end`: seconds that it has to let go of the target, once told to end. Nothing
    is fetched from afar while a target waits.

    Raises:
        CollectorError: it is not there, did not end in time, or failed; with its own last words.
    """
    environ = dict(os.environ, DEBUGINFOD_URLS="", LC_ALL="C")
    try:
        tool = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ, pass_fds=keep
        )
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise CollectorError("%s %s" % (argv[0], "is not installed" if missing else error.strerror)) from None
    _running.add(tool)
    try:
        output, errors = tool.communicate(timeout=max(budget, 0.1))
    except subprocess.TimeoutExpired:
        _end(tool, to_end)
        try:
            # One that reads from a dead file system does not even end by that; it is left behind.
            tool.communicate(timeout=1)
        except subprocess.TimeoutExpired:
            pass
        raise CollectorError("did not end within %.0f s" % budget) from None
    finally:
        _running.discard(tool)
    if tool.returncode and not (may_fail and output):
        words = errors.decode("utf-8", "replace").strip().splitlines()
        raise CollectorError(explain(words[-1] if words else "ended with %d" % tool.returncode))
    return output


def _end(tool: "subprocess.Popen[bytes]", patience: float) -> None:
    if patience:
        tool.terminate()
        try:
            tool.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            pass
    tool.kill()


def end_tools() -> None:
    """Kill all tools that run, before this program is ended itself."""
    for tool in list(_running):
        tool.kill()


_running: "Set[subprocess.Popen[bytes]]" = set()


def explain(words: str) -> str:
    """The tool's words, with what to do where it is known."""
    lowered = words.lower()
    if "operation not permitted" in lowered or "permission denied" in lowered or words == "not permitted":
        return "not permitted to read this process: run as its user or root, with CAP_SYS_PTRACE in a container"
    return words


Outputs = Dict[str, Reading]
"""By the name of the stack collector."""
