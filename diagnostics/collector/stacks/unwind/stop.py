"""Copies registers and stacks of threads (x86-64): without a stop where they sleep, else for as long as it takes.

A thread that sleeps tells its stack pointer and program counter in /proc/PID/task/TID/syscall (man 5 proc). With
these two its frames are found, since what the other registers held lies on the stack, or is not needed: an unwinder
that misses one of them ends early, and says so.

The others are stopped (man 2 ptrace). Threads are seized, not attached to: no signal is sent, a process that is stopped
already stays so, and the kernel sets every thread running again if this program dies. All of it needs the right to
trace the process (man 2 ptrace, "Ptrace access mode checking"), reading without a stop, too.
"""

import bisect
import ctypes
import os
import signal
import struct
import time
from contextlib import contextmanager
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from diagnostics.collector.kernel import text_of

PTRACE_GETREGS, PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 12, 17, 0x4206, 0x4207
WALL = 0x40000000
EVENT_STOP = 128

MAX_STACK = 1 << 20
"""Bytes of a thread's stack that are copied at most; deeper stacks end early."""

_REGISTERS = struct.Struct("27Q")  # struct user_regs_struct
_IN_DWARF_ORDER = (10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0, 16)  # rax rdx rcx rbx rsi rdi rbp rsp r8.. rip
_SP = 19
BP, SP, _PC = 6, 7, 16
"""As DWARF numbers them."""

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
    """Threads as they stood at one moment. `pause` is the time in seconds that they stood for."""

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


def quiet(pid: int, mappings: List[Mapping]) -> Dict[int, Thread]:
    """Copies of the threads that sleep, by their ids; nobody is stopped. Of their registers two are known.

    What is told has not moved while it was copied: the thread did not run in between.
    """
    ends = _ends(mappings)
    found = {}
    for tid in sorted(tasks(pid)):
        before = _where(pid, tid)
        if before is None:
            continue
        _, pointer, counter = before
        registers = [0] * 17
        registers[SP], registers[_PC] = pointer, counter
        copy = _copied(pid, tid, tuple(registers), pointer, ends)
        if copy.stack and _where(pid, tid) == before:
            found[tid] = copy
    return found


def _where(pid: int, tid: int) -> Optional[Tuple[str, int, int]]:
    """What the scheduler and the kernel's entry say of a thread that sleeps: the same as long as it does not run."""
    home = "/proc/%d/task/%d/" % (pid, tid)
    words = text_of(home + "syscall").split()
    runs = text_of(home + "schedstat") or "".join(
        line for line in text_of(home + "status").splitlines() if "ctxt_switches" in line
    )
    if len(words) < 3 or not runs:
        return None
    return "%s %s" % (runs, words), int(words[-2], 16), int(words[-1], 16)


def take(pid: int, mappings: List[Mapping], only: Optional[Set[int]] = None, patience: float = 1.0) -> Snapshot:
    """Copy the threads of a process, or `only` these, while they are stopped; whatever happens, they run again.

    A thread that does not stop within `patience` seconds (it has entered uninterruptible sleep) is left out.

    Raises:
        CannotStop: it is gone, or may not be traced.
    """
    ends = _ends(mappings)
    seized: Set[int] = set()
    stopped: Dict[int, int] = {}
    with _going_first():
        began = time.monotonic()
        copies = _take(pid, only, ends, seized, stopped, began + patience)
        pause = time.monotonic() - began
    if not copies:
        raise CannotStop("no thread of it could be stopped")
    return Snapshot(copies, pause)


def _ends(mappings: List[Mapping]) -> List[Tuple[int, int]]:
    return sorted((mapping.begin, mapping.end) for mapping in mappings)


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
    pid: int,
    only: Optional[Set[int]],
    ends: List[Tuple[int, int]],
    seized: Set[int],
    stopped: Dict[int, int],
    deadline: float,
) -> List[Thread]:
    try:
        while True:
            new = (tasks(pid) if only is None else only & tasks(pid)) - seized
            if not new:
                break
            _seize(new, seized)
            _wait(new & seized, stopped, deadline)
        return [_copy(pid, tid, ends) for tid in sorted(stopped)]
    finally:
        for tid, signal_number in stopped.items():
            _libc.ptrace(PTRACE_DETACH, tid, None, signal_number)


def tasks(pid: int) -> Set[int]:
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
    return _copied(pid, tid, tuple(registers[index] for index in _IN_DWARF_ORDER), registers[_SP], ends)


def _copied(pid: int, tid: int, registers: Tuple[int, ...], pointer: int, ends: List[Tuple[int, int]]) -> Thread:
    begin = pointer - 128  # with the red zone
    index = bisect.bisect_right(ends, (pointer, 1 << 64)) - 1
    end = ends[index][1] if index >= 0 and pointer < ends[index][1] else pointer + 65536
    return Thread(tid, registers, begin, read_memory(pid, begin, min(end - begin, MAX_STACK)))


def is_supported() -> bool:
    return os.uname().machine == "x86_64" and struct.calcsize("P") == 8 and hasattr(signal, "SIGCONT")
