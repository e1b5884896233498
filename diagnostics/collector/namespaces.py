"""Looking into a container from outside: its network, and its files and process numbers (man 7 namespaces).

Tools run here and enter the target's namespaces, so the container needs neither tools nor capabilities; the one who
looks needs CAP_SYS_ADMIN. A thread can enter another network by itself; files and process numbers only a process
that has a single thread.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from diagnostics.collector.kernel import text_of

_CLONE_NEW = {"mnt": 0x00020000, "net": 0x40000000, "pid": 0x20000000}
_libc = ctypes.CDLL(None, use_errno=True)
T = TypeVar("T")


def identity(pid: int | str, kind: str) -> str:
    """Names a namespace (`mnt`, `net`, `pid`) that a process is in, "" where it may not be seen."""
    try:
        return os.readlink(f"/proc/{pid}/ns/{kind}")
    except OSError:
        return ""


def is_elsewhere(pid: int, kind: str) -> bool:
    """Whether the process is known to be in another namespace than this program."""
    theirs = identity(pid, kind)
    return bool(theirs) and theirs != identity("self", kind)


def path_of(pid: int, name: str) -> Path:
    """Where a file lies for this program that the process calls `name`."""
    return Path(f"/proc/{pid}/root{name}") if is_elsewhere(pid, "mnt") else Path(name)


def enter(pid: int, *kinds: str) -> None:
    """Move the calling thread into namespaces of another process.

    Raises:
        OSError: not permitted, or the process is gone.
    """
    opened = [(os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC), _CLONE_NEW[kind]) for kind in kinds]
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
    answer: list[T] = []
    failure: list[BaseException] = []

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


def inner_ids(pid: int) -> dict[int, int]:
    """Thread number within the process's own namespace -> thread number here."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        if match := re.search(r"^NSpid:.*?(\d+)$", text_of(task / "status"), re.MULTILINE):
            found[int(match[1])] = int(task.name)
    return found
