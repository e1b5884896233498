"""Calls in processes of their own, so that one that never comes back, or crashes, costs only itself.

CPython 3.6, the standard library alone; nothing has to lie on a disk for it.
"""

import os
import select
import signal
import struct
import time
from typing import Callable, Optional

from diagnostics.collector.namespaces import die_with_parent

MAX_ANSWER = 256 << 20
_POLL = 0.05
_LENGTH = struct.Struct("<Q")


class Failed(Exception):
    """Why there is no answer, in words."""


def call(function: Callable[[], bytes], budget: float) -> bytes:
    """What `function` returned, called in a child for at most `budget` seconds. What it raises is told in words.

    Raises:
        Failed: it did not come back in time, raised, or its process was ended.
    """
    child = Child(lambda _: function())
    try:
        return child.ask(b"", budget)
    finally:
        child.end()


class Child(object):
    """A fork of this program that answers requests, one after the other, with what `answer` makes of them.

    It is killed when the thread that began it ends. `prepare` is called in it before the first request comes.
    """

    def __init__(self, answer: Callable[[bytes], bytes], prepare: Callable[[], None] = lambda: None) -> None:
        theirs, self._to = os.pipe()
        self._from, ours = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            _serve(answer, prepare, theirs, ours)
        os.close(theirs)
        os.close(ours)

    def ask(self, request: bytes, budget: float) -> bytes:
        """Raises: Failed: no answer came within `budget` seconds, or only the reason why there is none."""
        deadline = time.monotonic() + budget
        try:
            self.begin(request)
            (length,) = _LENGTH.unpack(self._take(_LENGTH.size, deadline, budget))
            if length > MAX_ANSWER:
                raise Failed("answered with more than %d MB" % (MAX_ANSWER >> 20))
            said = self._take(length, deadline, budget)
        except OSError as error:
            raise Failed("ended: %s" % error.strerror) from None
        if said[:1] != b"+":
            raise Failed(said[1:].decode("utf-8", "replace"))
        return said[1:]

    def begin(self, request: bytes) -> None:
        """Ask without waiting for the answer."""
        _write(self._to, _LENGTH.pack(len(request)) + request)

    def _take(self, count: int, deadline: float, budget: float) -> bytes:
        taken = bytearray()
        while len(taken) < count:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Failed("did not end within %.0f s" % budget)
            # Another child may hold a copy of the pipe's other end, so its end alone does not tell.
            if not select.select([self._from], [], [], min(left, _POLL))[0]:
                if self._has_ended() and not select.select([self._from], [], [], 0)[0]:
                    raise Failed("its process was ended")
                continue
            piece = os.read(self._from, min(count - len(taken), 1 << 20))
            if not piece:
                raise Failed("its process was ended")
            taken += piece
        return bytes(taken)

    def _has_ended(self) -> bool:
        try:
            # Not yet taken note of, so that its number cannot be another's.
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except OSError:
            return True

    def end(self, patience: float = 0.5) -> None:
        """Kill it. One that waits for a dead file system is left behind."""
        if not self.pid:
            return
        deadline = time.monotonic() + patience
        os.close(self._to)
        os.close(self._from)
        try:
            os.kill(self.pid, signal.SIGKILL)
            while not os.waitpid(self.pid, os.WNOHANG)[0] and time.monotonic() < deadline:
                time.sleep(0.001)
        except OSError:
            pass
        self.pid = 0


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _read(descriptor: int, count: int) -> Optional[bytes]:
    taken = bytearray()
    while len(taken) < count:
        piece = os.read(descriptor, count - len(taken))
        if not piece:
            return None
        taken += piece
    return bytes(taken)


def _serve(answer: Callable[[bytes], bytes], prepare: Callable[[], None], reading: int, writing: int) -> None:
    """In the child; never returns."""
    try:
        die_with_parent()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who asked
        prepare()
        while True:
            head = _read(reading, _LENGTH.size)
            request = _read(reading, _LENGTH.unpack(head)[0]) if head else None
            if request is None:
                break
            try:
                said = b"+" + answer(request)
            except BaseException as error:
                lines = str(error).strip().splitlines()
                said = b"-" + (lines[0] if lines else type(error).__name__).encode("utf-8", "replace")
            _write(writing, _LENGTH.pack(len(said)) + said)
    finally:
        os._exit(0)
