"""Who owns what a trial made outside this program, so that a later start can tell what nobody owns any more."""

from __future__ import annotations

import os
import socket

from diagnostics.collector import procfs
from diagnostics.collector.kernel import text_of


def here() -> str:
    """This process, so that it cannot be taken for another one: `host boot pid start`."""
    return f"{socket.gethostname()} {_boot()} {os.getpid()} {procfs.start_time(os.getpid())}"


def is_gone(owner: str) -> bool:
    """Whether that process has ended. False where it cannot be known: on another host, or not our text."""
    words = owner.split()
    if len(words) != 4 or words[0] != socket.gethostname() or not words[2].isdigit():
        return False
    if words[1] != _boot():
        return True
    pid = int(words[2])
    return not procfs.exists(pid) or str(procfs.start_time(pid)) != words[3]


def _boot() -> str:
    return text_of("/proc/sys/kernel/random/boot_id").strip().replace("-", "")[:16] or "unknown"
