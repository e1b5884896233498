"""Looking into a container from outside: its network, and its files and process numbers (man 7 namespaces).

Tools run here and enter the target's namespaces, so the container needs neither tools nor capabilities; the one who
looks needs CAP_SYS_ADMIN. A thread can enter another network by itself; files and process numbers only a process
that has a single thread. CPython 3.6, the standard library alone.
"""

import ctypes
import os
import re
import signal
import threading
from typing import Callable, Dict, List, TypeVar, Union

from diagnostics.collector.kernel import text_of

_CLONE_NEW = {"mnt": 0x00020000, "net": 0x40000000, "pid": 0x20000000}
_libc = ctypes.CDLL(None, use_errno=True)
T = TypeVar("T")


def identity(pid: Union[int, str], kind: str) -> str:
    """Names a namespace (`mnt`, `net`, `pid`) that a process is in, "" where it may not be seen."""
    try:
        return os.readlink("/proc/%s/ns/%s" % (pid, kind))
    except OSError:
        return ""


def is_elsewhere(pid: int, kind: str) -> bool:
    """Whether the process is known to be in another namespace than this program."""
    theirs = identity(pid, kind)
    return bool(theirs) and theirs != identity("self", kind)


def path_of(pid: int, name: str) -> str:
    """Where a file lies for this program that the process calls `name`."""
    return "/proc/%d/root%s" % (pid, name) if is_elsewhere(pid, "mnt") else name


def enter(pid: int, *kinds: str) -> None:
    """Move the calling thread into namespaces of another process.

    Raises:
        OSError: not permitted, or the process is gone.
    """
    opened = [(os.open("/proc/%s/ns/%s" % (pid, kind), os.O_RDONLY | os.O_CLOEXEC), _CLONE_NEW[kind]) for kind in kinds]
    try:
        for descriptor, flag in opened:
            if _libc.setns(descriptor, flag):
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
    finally:
        for descriptor, _ in opened:
            os.close(descriptor)


def in_network_of(pid: int, ask: Callable[[], T]) -> T:
    """`ask()` within the network of another process, in a thread that ends afterwards.

    Raises:
        OSError: not permitted, or the process is gone; and what `ask` raises.
    """
    answer: List[T] = []
    failure: List[BaseException] = []

    def run() -> None:
        try:
            enter(pid, "net")
            answer.append(ask())
        except Exception as error:
            failure.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return answer[0]


def die_with_parent() -> None:
    """Be killed when the parent ends (PR_SET_PDEATHSIG)."""
    _libc.prctl(1, signal.SIGKILL, 0, 0, 0)


def inner_ids(pid: int) -> Dict[int, int]:
    """Thread number within the process's own namespace -> thread number here.

    Raises:
        OSError: the process is gone.
    """
    names = os.listdir("/proc/%d/task" % pid)
    theirs = identity(pid, "pid")
    if theirs and theirs == identity("self", "pid"):
        return {int(name): int(name) for name in names}
    found = {}
    for name in names:
        match = re.search(r"^NSpid:.*?(\d+)$", text_of("/proc/%d/task/%s/status" % (pid, name)), re.MULTILINE)
        if match:
            found[int(match.group(1))] = int(name)
    return found
