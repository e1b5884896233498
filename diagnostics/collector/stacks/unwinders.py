"""Native frames of all threads, unwound after the target runs again (see `diagnostics.collector.stacks.unwind`)."""

from __future__ import annotations

import importlib.util
import json
import os
import select
import subprocess
import sys
import threading
import time
from contextlib import suppress
from glob import glob
from pathlib import Path

import msgspec
import platformdirs

from diagnostics.collector.stacks.base import Reading, Rung, RungError, explain
from diagnostics.collector.stacks.unwind import stop
from diagnostics.model import Thread
from diagnostics.stacks.demangle import native_frame

NAME = "unwind"
MAX_ANSWER = 256 << 20


class _Answer(msgspec.Struct):
    pid: int
    pause: float = 0.0
    threads: list[tuple[int, list[tuple[str, str]]]] = []
    error: str = ""


def libraries() -> list[list[str]]:
    """Where libdw may be: pystack's wheel brings one, with what has to be loaded before it; else the system's."""
    spec = importlib.util.find_spec("pystack")
    home = str(Path(spec.origin).parent.parent / "pystack.libs") if spec and spec.origin else ""
    brought = [(glob(f"{home}/{name}*") or [""])[0] for name in ("libzstd", "libelf", "libdw")]
    return ([[path for path in brought if path]] if brought[-1] else []) + [["libdw.so.1"]]


class Unwinders:
    """Workers that unwind, as many as are asked at the same time. A context manager: all have ended after it."""

    def __init__(self) -> None:
        self._idle: list[Worker] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Unwinders:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._idle:
            worker.end()

    @property
    def rung(self) -> Rung:
        # A stopped process may be seized without setting it running, so it is read in the same way.
        return Rung(NAME, self.read, native=True, gentle=self.read_stopped)

    def read(self, pid: int, budget: float) -> Reading:
        if not stop.is_supported():
            raise RungError("unwinds x86-64 only")
        with self._lock:
            worker = self._idle.pop() if self._idle else Worker()
        try:
            answer = worker.ask(pid, budget)
        except RungError:
            worker.end()
            raise
        with self._lock:
            self._idle.append(worker)
        if answer.error:
            raise RungError(explain(answer.error))
        return Reading(tuple(thread_of(tid, frames) for tid, frames in answer.threads), answer.pause)

    def read_stopped(self, pid: int, budget: float) -> Reading:
        from diagnostics.collector import procfs

        if procfs.settled_state(pid) != "T":
            raise RungError("in uninterruptible sleep (D) or under another debugger: never ptraced")
        return self.read(pid, budget)


def thread_of(tid: int, frames: list[tuple[str, str]]) -> Thread:
    return Thread(tid, "", tuple(native_frame(function, file) for function, file in frames))


class Worker:
    """One process that unwinds. If it dies, the kernel sets running again whatever it had stopped."""

    def __init__(self) -> None:
        package = Path(__file__).parent
        start = (
            "import sys; sys.path.insert(0, sys.argv[1]); from unwind.worker import main; import json; "
            "main(json.loads(sys.argv[2]), sys.argv[3])"
        )
        cache = os.path.join(platformdirs.user_cache_dir("lastbatch"), "symbols")
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", start, str(package), json.dumps(libraries()), cache],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdout
        os.set_blocking(self._process.stdout.fileno(), False)

    def ask(self, pid: int, budget: float) -> _Answer:
        try:
            self.begin(pid)
            return msgspec.json.decode(self._line(time.monotonic() + budget), type=_Answer)
        except (OSError, msgspec.DecodeError):
            raise RungError("the unwinder ended") from None

    def begin(self, pid: int) -> None:
        assert self._process.stdin
        self._process.stdin.write(b"%d\n" % pid)
        self._process.stdin.flush()

    def _line(self, deadline: float) -> bytes:
        assert self._process.stdout
        taken = bytearray()
        while not taken.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise RungError("did not end within its budget")
            piece = self._process.stdout.read(1 << 20)
            if not piece or len(taken) > MAX_ANSWER:
                raise RungError("the unwinder ended")
            taken += piece
        return bytes(taken)

    def end(self) -> None:
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()
        with suppress(subprocess.TimeoutExpired):  # one that reads from a dead file system does not end
            self._process.wait(1)
