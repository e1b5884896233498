"""Stops a process for as long as it takes to copy its registers and stacks (man 2 ptrace). x86-64.

Threads are seized, not attached to: no signal is sent, a process that is stopped already stays so, and the kernel
sets every thread running again if this program dies.
"""

import ctypes
import os
import signal
import struct
import time
from contextlib import contextmanager
from typing import Dict, Iterator, List, NamedTuple, Set, Tuple

PTRACE_GETREGS, PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 12, 17, 0x4206, 0x4207
WALL = 0x40000000
EVENT_STOP = 128

MAX_STACK = 1 << 20
"""Bytes of a thread's stack that are copied at most; deeper stacks end early."""

_REGISTERS = struct.Struct("27Q")  # struct user_regs_struct
_IN_DWARF_ORDER = (10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0, 16)  # rax rdx rcx rbx rsi rdi rbp rsp r8.. rip
_SP = 19

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


class _Span(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


_libc.process_vm_readv.restype = ctypes.c_ssize_t
_libc.process_vm_readv.argtypes = [
    ctypes.c_long, ctypes.POINTER(_Span), ctypes.c_ulong, ctypes.POINTER(_Span), ctypes.c_ulong, ctypes.c_ulong,
]  # fmt: skip


class Thread(NamedTuple):
    """A thread's copy. `registers` are the seventeen that DWARF numbers, `stack` begins at `stack_at`."""

    tid: int
    registers: Tuple[int, ...]
    stack_at: int
    stack: bytes


class Mapping(NamedTuple):
    begin: int
    end: int
    offset: int
    path: str


class Snapshot(NamedTuple):
    """A process as it stood at one moment. `pause` is the time in seconds that it stood for."""

    pid: int
    mappings: List[Mapping]
    threads: List[Thread]
    pause: float


class CannotStop(Exception):
    """Why, in words."""


def read_memory(pid: int, address: int, length: int) -> bytes:
    """Of another process; shorter where it is not mapped."""
    buffer = ctypes.create_string_buffer(length)
    here, there = _Span(ctypes.addressof(buffer), length), _Span(address, length)
    count = _libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    return buffer.raw[:count] if count > 0 else b""


def read_mappings(pid: int) -> List[Mapping]:
    with open("/proc/%d/maps" % pid, "rb") as file:
        text = file.read().decode("utf-8", "replace")
    found = []
    for line in text.splitlines():
        fields = line.split(None, 5)
        begin, end = fields[0].split("-")
        path = fields[5] if len(fields) > 5 else ""
        found.append(Mapping(int(begin, 16), int(end, 16), int(fields[2], 16), path))
    return found


def take(pid: int, patience: float = 1.0) -> Snapshot:
    """Copy a process; whatever happens, it runs again afterwards.

    A thread that does not stop within `patience` seconds (it has entered uninterruptible sleep) is left out.

    Raises:
        CannotStop: it is gone, or may not be traced.
    """
    mappings = read_mappings(pid)
    ends = sorted((mapping.begin, mapping.end) for mapping in mappings)
    seized: Set[int] = set()
    stopped: Dict[int, int] = {}
    with _going_first():
        began = time.monotonic()
        copies = _take(pid, ends, seized, stopped, began + patience)
        pause = time.monotonic() - began
    if not copies:
        raise CannotStop("no thread of it could be stopped")
    return Snapshot(pid, mappings, copies, pause)


@contextmanager
def _going_first() -> Iterator[None]:
    """While a target stands nobody is scheduled before us, where we may ask for that; some milliseconds."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except (OSError, AttributeError):
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _take(
    pid: int, ends: List[Tuple[int, int]], seized: Set[int], stopped: Dict[int, int], deadline: float
) -> List[Thread]:
    try:
        while True:
            new = _tasks(pid) - seized
            if not new:
                break
            _seize(new, seized)
            _wait(new & seized, stopped, deadline)
        return [_copy(pid, tid, ends) for tid in sorted(stopped)]
    finally:
        for tid, signal_number in stopped.items():
            _libc.ptrace(PTRACE_DETACH, tid, None, signal_number)


def _tasks(pid: int) -> Set[int]:
    try:
        return {int(name) for name in os.listdir("/proc/%d/task" % pid)}
    except OSError:
        raise CannotStop("it has ended") from None


def _seize(tids: Set[int], seized: Set[int]) -> None:
    for tid in sorted(tids):
        if _libc.ptrace(PTRACE_SEIZE, tid, None, None) == 0:
            seized.add(tid)
        elif not seized and ctypes.get_errno() == 1:
            raise CannotStop("not permitted")
        else:
            seized.add(tid)  # gone already, or being traced: not to be tried again
    for tid in tids & seized:
        _libc.ptrace(PTRACE_INTERRUPT, tid, None, None)


def _wait(tids: Set[int], stopped: Dict[int, int], deadline: float) -> None:
    """Until each of them stands; notes the signal that it has to be given when it goes on."""
    waiting = set(tids)
    while waiting:
        for tid in list(waiting):
            try:
                done, status = os.waitpid(tid, WALL | os.WNOHANG)
            except OSError:
                waiting.discard(tid)  # it was never ours
                continue
            if not done:
                continue
            waiting.discard(tid)
            if os.WIFSTOPPED(status):
                is_event = status >> 16 == EVENT_STOP
                stopped[tid] = 0 if is_event else os.WSTOPSIG(status)
        if waiting:
            if time.monotonic() > deadline:
                return
            time.sleep(0.0002)


def _copy(pid: int, tid: int, ends: List[Tuple[int, int]]) -> Thread:
    buffer = ctypes.create_string_buffer(_REGISTERS.size)
    if _libc.ptrace(PTRACE_GETREGS, tid, None, ctypes.addressof(buffer)) != 0:
        return Thread(tid, (), 0, b"")
    registers = _REGISTERS.unpack(buffer.raw)
    pointer = registers[_SP] - 128  # with the red zone
    end = next((end for begin, end in ends if begin <= registers[_SP] < end), registers[_SP] + 65536)
    stack = read_memory(pid, pointer, min(end - pointer, MAX_STACK))
    return Thread(tid, tuple(registers[index] for index in _IN_DWARF_ORDER), pointer, stack)


def is_supported() -> bool:
    return os.uname().machine == "x86_64" and struct.calcsize("P") == 8 and hasattr(signal, "SIGCONT")
