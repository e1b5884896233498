"""Keeps a launcher from ending the other ranks while these are looked at.

Its main thread is stopped as a debugger would (man 2 ptrace): no signal is sent, and the kernel lets it run again when
this program ends, however it does.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from diagnostics.collector.stacks.unwind.stop import PTRACE_DETACH, PTRACE_INTERRUPT, PTRACE_SEIZE, WALL

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long
PATIENCE = 1.0


@contextmanager
def held(pid: int) -> Iterator[bool]:
    """The process stands still meanwhile; False where it may not be stopped, or is in a call that cannot be."""
    if _libc.ptrace(PTRACE_SEIZE, pid, None, None) != 0:
        yield False
        return
    _libc.ptrace(PTRACE_INTERRUPT, pid, None, None)
    stop = _stopped(pid)
    try:
        yield stop is not None
    finally:
        if stop is None:  # it may have stopped by now: only a thread that stands can be let go
            stop = _stopped(pid)
        given = stop if stop is not None and stop >> 8 == 0 else 0  # a signal that was on its way is not lost
        _libc.ptrace(PTRACE_DETACH, pid, None, given)


def _stopped(pid: int) -> int | None:
    """The signal it stopped with, above it the kernel's event (man 2 ptrace); None where it does not stop.

    A child of ours that ends meanwhile is left to whoever waits for it.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(ChildProcessError):
            if told := os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG | WALL):
                return told.si_status
        time.sleep(0.0002)
    return None
