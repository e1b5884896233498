"""Locks on files that a process holds, waits for or has open (/proc/locks, man 5 proc); lock files that it polls."""

import os
import re
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

from diagnostics.collector import namespaces, procfs
from diagnostics.collector.kernel import text_of
from diagnostics.collector.look import Fields, Look, plain
from diagnostics.collector.sources import mounts
from diagnostics.collector.sources.blocking_calls import open_files
from diagnostics.collector.sources.polled import polled_by

MOST = 64
"""Locks of one process that are told."""

_LINE = re.compile(r"^\d+: ( *-> )?(\w+) +\w+ +\w+ +(-?\d+) (\w+:\w+:\d+) ", re.M)
"""Who waits for one that waits is further to the right (lock_get_status in fs/locks.c)."""
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
    """Its own, and those that others hold on files that it has open."""
    rows = [row for row in rows if row.kind]
    own = [row for row in rows if row.pid == pid]
    its = {row.file for row in own}
    held = [row for row in rows if not row.waits and row.pid > 0 and row.file not in its]
    paths = _paths(pid, {_inode_in(row) for row in own + held}) if own or held else {}
    others = [row for row in held if _inode_in(row) in paths and _is_on(pid, paths[_inode_in(row)], row.file)]
    found = []
    for row in own + others:
        inode = _inode_in(row)
        holders = sorted({one.pid for one in rows if one.file == row.file and not one.waits and one.pid > 0})
        found.append(FileLock(paths.get(inode, "inode %d" % inode), row.kind, row.waits, tuple(holders)))
    return sorted(set(found))[:MOST]


def _inode_in(row: _Row) -> int:
    return int(row.file.rpartition(":")[2])


def _is_on(pid: int, path: str, file: str) -> bool:
    """Whether the path's file is on the device that /proc/locks names: inodes are numbered by device."""
    try:
        device = os.stat(namespaces.path_of(pid, path)).st_dev if mounts.answering(pid, [path]) else None
    except OSError:
        return False
    major, minor = file.split(":")[:2]
    return device is not None and (os.major(device), os.minor(device)) == (int(major, 16), int(minor, 16))


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
