"""What the numbers of a system call mean: its name, the time after which it ends, the owner of the mutex it waits for.

Goes along to other hosts, so: the standard library and `kernel` alone, CPython 3.6 and later.
"""

import os
import struct
import time
from typing import Callable, Mapping, Optional, Sequence

from diagnostics.collector.kernel import text_of

# Numbers from asm/unistd_64.h and asm-generic/unistd.h.
_NAMES = {
    "x86_64": {
        0: "read", 1: "write", 2: "open", 3: "close", 4: "stat", 5: "fstat", 6: "lstat", 7: "poll", 16: "ioctl",
        17: "pread64", 18: "pwrite64", 19: "readv", 20: "writev", 21: "access", 23: "select", 34: "pause",
        35: "nanosleep", 42: "connect", 43: "accept", 44: "sendto", 45: "recvfrom", 46: "sendmsg", 47: "recvmsg",
        61: "wait4", 72: "fcntl", 73: "flock", 74: "fsync", 75: "fdatasync", 77: "ftruncate", 82: "rename",
        83: "mkdir", 87: "unlink", 128: "rt_sigtimedwait", 130: "rt_sigsuspend", 202: "futex", 217: "getdents64",
        230: "clock_nanosleep", 232: "epoll_wait", 247: "waitid", 257: "openat", 262: "newfstatat", 263: "unlinkat",
        270: "pselect6", 271: "ppoll", 281: "epoll_pwait", 288: "accept4", 299: "recvmmsg", 316: "renameat2",
        332: "statx", 441: "epoll_pwait2",
    },
    "aarch64": {
        22: "epoll_pwait", 25: "fcntl", 29: "ioctl", 32: "flock", 35: "unlinkat", 46: "ftruncate", 56: "openat",
        57: "close", 61: "getdents64", 63: "read", 64: "write", 65: "readv", 66: "writev", 67: "pread64",
        68: "pwrite64", 72: "pselect6", 73: "ppoll", 79: "newfstatat", 80: "fstat", 82: "fsync", 83: "fdatasync",
        95: "waitid", 98: "futex", 101: "nanosleep", 115: "clock_nanosleep", 133: "rt_sigsuspend",
        137: "rt_sigtimedwait", 202: "accept", 203: "connect", 206: "sendto", 207: "recvfrom", 211: "sendmsg",
        212: "recvmsg", 242: "accept4", 243: "recvmmsg", 260: "wait4", 276: "renameat2", 291: "statx",
        441: "epoll_pwait2",
    },
}  # fmt: skip
WRITES = frozenset({"write", "writev", "pwrite64", "sendto", "sendmsg"})
ON_FILE = WRITES | {
    "read", "readv", "pread64", "recvfrom", "recvmsg", "recvmmsg", "accept", "accept4", "connect", "flock", "fcntl",
    "fsync", "fdatasync", "fstat", "ftruncate", "getdents64", "ioctl",
}  # fmt: skip
BY_PATH = {
    **dict.fromkeys(("open", "stat", "lstat", "access", "mkdir", "unlink", "rename"), 0),
    **dict.fromkeys(("openat", "newfstatat", "statx", "unlinkat", "renameat2"), 1),
}
SIMPLE = {
    "nanosleep": "time", "clock_nanosleep": "time", "pause": "signal", "rt_sigsuspend": "signal",
    "rt_sigtimedwait": "signal",
}  # fmt: skip

FUTEX_PRIVATE = 128
_FUTEX_WAIT, _FUTEX_LOCK_PI, _FUTEX_WAIT_BITSET, _FUTEX_LOCK_PI2 = 0, 6, 9, 13


def names() -> Mapping[int, str]:
    """Number of a system call on this machine -> its name, of those that threads sleep in."""
    return _NAMES.get(os.uname().machine, {})


def mutex_owner(data: bytes, operation: int, value: int) -> int:
    """Which thread holds the mutex whose 20 first bytes these are, as the process numbers its threads; 0 for none.

    glibc's pthread_mutex_t on 64-bit little-endian machines (nptl/sysdeps): lock, count, owner, users, kind. A plain
    one that is waited for is 2; that of a robust or priority-inheriting one holds the owner's id (man 2 futex). Other
    locks look alike, so the caller has to check that there is such a thread.
    """
    lock, _, owner, users, kind = struct.unpack("<IIiII", data)
    if operation in (_FUTEX_LOCK_PI, _FUTEX_LOCK_PI2):
        return int(lock & 0x3FFFFFFF)
    if operation not in (_FUTEX_WAIT, _FUTEX_WAIT_BITSET) or kind & ~0x3FF or not users:
        return 0
    if kind & 16:  # robust
        return int(lock & 0x3FFFFFFF)
    return int(owner) if value == 2 and lock == 2 and owner > 0 else 0


_MILLISECONDS = {"poll": 2, "epoll_wait": 3, "epoll_pwait": 3}
_POINTERS = {"futex": 3, "ppoll": 2, "select": 4, "pselect6": 4, "epoll_pwait2": 3}
"""Argument that has the limit: a number of which -1 is none, or an address, 0 for none."""


def has_limit(call: str, arguments: Sequence[int]) -> bool:
    """Whether the call comes back by itself after a time."""
    if call in _MILLISECONDS:
        return arguments[_MILLISECONDS[call]] & 0xFFFFFFFF < 1 << 31
    return call in _POINTERS and arguments[_POINTERS[call]] != 0


_FUTEX_CLOCK_REALTIME = 256
_TIMER_ABSTIME = 1
_REALTIME, _MONOTONIC = 0, 1


def _clock_of(call: str, arguments: Sequence[int]) -> Optional[int]:
    """The clock by which a time in the arguments is meant, None where it is a duration."""
    if call == "clock_nanosleep" and arguments[1] & _TIMER_ABSTIME:
        return arguments[0] & 0xFFFFFFFF if arguments[0] & 0xFFFFFFFF in (_REALTIME, _MONOTONIC) else None
    if call == "futex" and arguments[1] & 127 == _FUTEX_WAIT_BITSET:
        return _REALTIME if arguments[1] & _FUTEX_CLOCK_REALTIME else _MONOTONIC
    if call == "futex" and arguments[1] & 127 in (_FUTEX_LOCK_PI, _FUTEX_LOCK_PI2):
        return _REALTIME if arguments[1] & 127 == _FUTEX_LOCK_PI else _MONOTONIC
    return None


def ends_in(call: str, arguments: Sequence[int], read: Callable[[int, int], bytes]) -> float:
    """Seconds after which it comes back by itself, counted from now or from when it began; -1 for never.

    `read`: so many bytes at an address of the process.
    """
    if call in _MILLISECONDS:
        limit = arguments[_MILLISECONDS[call]] & 0xFFFFFFFF
        return limit / 1e3 if limit < 1 << 31 else -1.0
    place = _POINTERS.get(call, {"nanosleep": 0, "clock_nanosleep": 2}.get(call, -1))
    raw = read(arguments[place], 16) if place >= 0 and arguments[place] else b""
    if len(raw) < 16:
        return -1.0
    whole, part = map(int, struct.unpack("<qq", raw))
    seconds = whole + part / (1e6 if call == "select" else 1e9)
    clock = _clock_of(call, arguments)
    return max(0.0, round(seconds - time.clock_gettime(clock) if clock is not None else seconds, 3))


def sleeps_for_a_time(pid: int, tid: int) -> bool:
    """Whether the thread is in a call that comes back by itself after a time."""
    words = text_of("/proc/%d/task/%d/syscall" % (pid, tid)).split()
    if len(words) < 7 or not words[0].isdigit():
        return False
    call = names().get(int(words[0]), "")
    return call in ("nanosleep", "clock_nanosleep") or has_limit(call, [int(word, 16) for word in words[1:7]])
