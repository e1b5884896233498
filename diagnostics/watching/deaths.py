"""Waits for the ends of processes in a thread of its own, and holds at once whoever is about to be told of one.

The kernel says so within a millisecond (man 2 pidfd_open). A look at the whole job takes longer than that, and a
launcher that hears of it meanwhile has ended the other ranks before anybody has seen them.
"""

from __future__ import annotations

import fcntl
import os
import queue
import select
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from diagnostics.collector import procfs
from diagnostics.watching.hold import held

PATIENCE = 10.0
"""Seconds for which a launcher is held for somebody who does not come."""

_INFO = 0xC040FF0B
_EXIT = 1 << 3
"""PIDFD_GET_INFO, _IOWR(0xFF, 11, 64 bytes), and the bit for how it ended (Linux 6.15, include/uapi/linux/pidfd.h)."""


class End:
    """A process that has ended with an error or by a signal; its parent is held where that can be.

    `status` is negative for a signal, None where its parent was told before anybody else could ask.
    """

    def __init__(self, pid: int, status: int | None) -> None:
        self.pid, self.status, self.held = pid, status, False
        self._taken, self._done = threading.Event(), threading.Event()

    @contextmanager
    def looked_at(self) -> Iterator[bool]:
        """The parent goes on afterwards; whether it stands still meanwhile."""
        self._taken.set()
        try:
            yield self.held
        finally:
            self._done.set()

    def passed_over(self) -> None:
        with self.looked_at():
            pass

    def wait(self) -> None:
        """Until somebody has looked, or does not come."""
        if self._taken.wait(PATIENCE):
            self._done.wait()
        self.held = False


class Deaths:
    """Those that are watched, each by its descriptor, in the order in which they end."""

    def __init__(self) -> None:
        self.matters = True
        """Whether an end is held and told: when all is told already, the launcher is not to be kept waiting."""
        self._ends: queue.SimpleQueue[End] = queue.SimpleQueue()
        self._watched: dict[int, tuple[int, int]] = {}  # descriptor -> pid, parent
        self._lock = threading.Lock()
        self._ready = select.epoll()  # it tells them in the order in which they became ready; poll does not
        threading.Thread(target=self._run, daemon=True).start()

    def watch(self, pid: int, parent: int) -> bool:
        """False where it is gone, or the kernel has no such descriptors."""
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            return False
        with self._lock:
            self._watched[handle] = pid, parent
        self._ready.register(handle, select.EPOLLIN)
        return True

    def forget(self) -> None:
        """All that are watched, and what has been seen of them."""
        with self._lock:
            for handle in self._watched:
                os.close(handle)
            self._watched.clear()
        while (end := self.next(0)) is not None:
            end.passed_over()

    def next(self, seconds: float) -> End | None:
        """The first that ends badly meanwhile, None when the time is up."""
        with suppress(queue.Empty):
            return self._ends.get(timeout=seconds) if seconds else self._ends.get_nowait()
        return None

    def _run(self) -> None:
        with suppress(OSError):  # it sleeps until it has to come before the launcher, where we have the right to
            os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
        while True:
            for handle, _ in self._ready.poll():
                self._ended(handle)

    def _ended(self, handle: int) -> None:
        with self._lock:
            if handle not in self._watched or not _is_readable(handle):
                return  # it is forgotten by now; its number may be another's
            pid, parent = self._watched.pop(handle)
        with held(parent if self.matters else 0) as stands:  # before anything is asked: its parent is awake as well
            status = how_it_ended(handle, pid)
            os.close(handle)
            if status == 0 or not self.matters:
                return
            end = End(pid, status)
            end.held = stands
            self._ends.put(end)
            end.wait()


def _is_readable(handle: int) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(0))


def how_it_ended(handle: int, pid: int) -> int | None:
    """Negative for a signal; None where its parent has been told, and the kernel does not tell others any more."""
    status = procfs.exit_status_of(pid)
    if status is not None:
        return status
    info = bytearray(64)
    struct.pack_into("=Q", info, 0, _EXIT)
    try:
        fcntl.ioctl(handle, _INFO, info)
    except OSError:
        return None
    told: int = struct.unpack_from("=Q", info)[0]
    code: int = struct.unpack_from("=i", info, 60)[0]
    if not told & _EXIT:
        return None
    return -(code & 127) if code & 127 else code >> 8
