"""What discovery needs of every process of this machine. Touches none."""

import os
import re
from typing import Any, Dict, Iterable, List, Set

from diagnostics.collector import procfs
from diagnostics.collector.kernel import text_of
from diagnostics.collector.sockets import Sockets, sockets_of


def scan(keys: Iterable[str]) -> List[Dict[str, Any]]:
    """All processes but ourselves, our ancestors and the kernel's own threads. `keys`: variables that may be told."""
    ours, pid = set(), os.getpid()
    while pid > 1:
        ours.add(pid)
        pid = procfs.parent_of(pid)
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in ours]
    commands = {pid: command for pid, command in ((pid, procfs.command_of(pid)) for pid in pids) if command}
    sockets = sockets_of(commands)
    wanted = set(keys)
    return [_seen(pid, list(command), sockets[pid], wanted) for pid, command in sorted(commands.items())]


def _seen(pid: int, command: List[str], sockets: Sockets, keys: Set[str]) -> Dict[str, Any]:
    pairs = (item.partition("=") for item in text_of("/proc/%d/environ" % pid, 4 << 20).split("\0"))
    frameworks = [path for path in procfs.mapped_files(pid) if re.search("/(tensorflow|torch|jaxlib)/", path)]
    return {
        "pid": pid,
        "parent": procfs.parent_of(pid),
        "uid": procfs.uid_of(pid),
        "command": command,
        "environ": {name: value for name, _, value in pairs if name in keys},
        "cgroup": text_of("/proc/%d/cgroup" % pid, 4096),
        "frameworks": frameworks[:1],
        "listens": list(sockets.listens),
        "links": [[one.local, one.remote] for one in sockets.connections if one.state == "ESTABLISHED"],
    }
