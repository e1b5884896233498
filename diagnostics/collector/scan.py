"""What discovery needs of every process of this machine. Touches none."""

import os
import re
from typing import Any, Dict, Iterable, List, Optional, Set

from diagnostics.collector import procfs
from diagnostics.collector.environment import environ_of
from diagnostics.collector.kernel import text_of
from diagnostics.collector.sockets import Sockets, sockets_of

helpers: Set[int] = set()
"""Processes that this one has begun to look at others."""


def own_family() -> Set[int]:
    """This process, those that started it, and its helpers: a tool never looks at itself."""
    family, pid = set(helpers), os.getpid()
    while pid > 1:
        family.add(pid)
        pid = procfs.parent_of(pid)
    return family


FRAMEWORK = re.compile("/(tensorflow|torch|jaxlib)(?:_core)?/")


def all_pids() -> List[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def scan(keys: Iterable[str], pids: Optional[Iterable[int]] = None) -> List[Dict[str, Any]]:
    """All processes (or these) but ourselves, our ancestors and the kernel's own threads.

    `keys`: variables that may be told.
    """
    ours, wanted = own_family(), frozenset(keys)
    pids = [pid for pid in (all_pids() if pids is None else pids) if pid not in ours]
    commands = {pid: command for pid, command in ((pid, procfs.command_of(pid)) for pid in pids) if command}
    sockets = sockets_of(commands)
    ended = [pid for pid in pids if pid not in commands and procfs.state_of(pid) == "Z"]
    return [_seen(pid, list(command), sockets[pid], wanted) for pid, command in commands.items()] + [
        _ended(pid) for pid in ended
    ]


def _ended(pid: int) -> Dict[str, Any]:
    """Of one that its parent has not waited for yet, the name of its program is left."""
    name = text_of("/proc/%d/comm" % pid, 64).strip()
    return {
        "pid": pid,
        "parent": procfs.parent_of(pid),
        "command": [name],
        "started": procfs.start_time(pid),
        "ended": True,
        "status": procfs.exit_status_of(pid),
    }


def _seen(pid: int, command: List[str], sockets: Sockets, keys: Iterable[str]) -> Dict[str, Any]:
    frameworks = procfs.mapped_files(pid, like=FRAMEWORK)
    return {
        "pid": pid,
        "parent": procfs.parent_of(pid),
        "uid": procfs.uid_of(pid),
        "command": command,
        "environ": environ_of(pid, frozenset(keys)),
        "cgroup": text_of("/proc/%d/cgroup" % pid, 4096),
        "frameworks": list(frameworks[:1]),
        "listens": list(sockets.listens),
        "links": [[one.local, one.remote] for one in sockets.connections if one.state == "ESTABLISHED"],
        "asks": [one.remote for one in sockets.connections if one.state == "SYN_SENT"],
        "started": procfs.start_time(pid),
    }
