"""Locks on files that a process holds or waits for, from /proc/locks (man 5 proc); and lock files that it polls."""

import os
import re
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

from diagnostics.collector import procfs
from diagnostics.collector.kernel import text_of
from diagnostics.collector.look import Fields, Look, plain
from diagnostics.collector.sources import mounts
from diagnostics.collector.sources.blocking_calls import open_files
from diagnostics.collector.sources.polled import polled_by

MOST = 64
"""Locks of one process that are told."""

_LINE = re.compile(r"^\d+: (-> )?(\w+) +\w+ +\w+ +(-?\d+) (\w+:\w+:\d+) ", re.M)
_KINDS = {"FLOCK": "flock", "POSIX": "posix", "LEASE": "lease", "OFDLCK": "ofd"}


class FileLock(NamedTuple):
    """As `diagnostics.model.FileLock`."""

    path: str
    kind: str
    waits: bool = False
    holders: Tuple[int, ...] = ()


class _Row(NamedTuple):
    waits: bool
    kind: str
    pid: int
    file: str  # device and inode


def once(look: Look) -> Fields:
    rows = rows_in(text_of("/proc/locks", 8 << 20))
    return {pid: {"locks": plain(_locks_of(pid, rows) + _polled(pid))} for pid in look.pids}


def _polled(pid: int) -> List[FileLock]:
    """Files whose existence is a lock, which it waits to see removed."""
    paths = polled_by(pid)
    opened: Dict[str, List[int]] = {}
    for other, _, link in open_files(set(paths)) if paths else ():
        opened.setdefault(link, []).append(other)
    return [FileLock(path, "name", True, tuple(sorted(set(opened.get(path, ()))))) for path in paths]


def rows_in(text: str) -> List[_Row]:
    return [_Row(bool(waits), _KINDS.get(kind, ""), int(pid), file) for waits, kind, pid, file in _LINE.findall(text)]


def _locks_of(pid: int, rows: Iterable[_Row]) -> List[FileLock]:
    rows = [row for row in rows if row.kind]
    own = [row for row in rows if row.pid == pid][:MOST]
    paths = _paths(pid, {int(row.file.rpartition(":")[2]) for row in own}) if own else {}
    found = []
    for row in own:
        inode = int(row.file.rpartition(":")[2])
        holders = sorted({one.pid for one in rows if one.file == row.file and not one.waits and one.pid > 0})
        found.append(FileLock(paths.get(inode, "inode %d" % inode), row.kind, row.waits, tuple(holders)))
    return sorted(set(found))


def _paths(pid: int, inodes: Iterable[int]) -> Dict[int, str]:
    """By the inodes: what the process has open."""
    wanted, found = set(inodes), {}
    for number, path in procfs.open_files(pid).items():
        inode = _inode(pid, number, path) if path.startswith("/") else None
        if inode in wanted and inode is not None:
            found[inode] = path
    return found


def _inode(pid: int, number: str, path: str) -> Optional[int]:
    match = re.search(r"^ino:\s*(\d+)", text_of("/proc/%d/fdinfo/%s" % (pid, number), 4096), re.M)
    if match:
        return int(match.group(1))  # from Linux 5.14 on
    try:
        return os.stat("/proc/%d/fd/%s" % (pid, number)).st_ino if mounts.answering(pid, [path]) else None
    except OSError:
        return None
