"""What there is on this machine: every process that may be looked at, with what discovery needs. Touches none."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

from diagnostics.collector import procfs
from diagnostics.collector.environment import environ_of
from diagnostics.collector.kernel import text_of
from diagnostics.collector.sockets import Sockets, sockets_of
from diagnostics.collector.sources import mounts, recorder
from diagnostics.discover.identity import KEYS, Identity, identity_of
from diagnostics.model import Record

_FRAMEWORKS = ("/tensorflow/", "/torch/", "/jaxlib/")


class Seen(Record, frozen=True):
    """One process as it is seen from outside."""

    pid: int
    parent: int
    uid: int
    command: tuple[str, ...]
    identity: Identity | None = None
    framework: str = ""  # "tensorflow", "torch", "jaxlib" where its library is mapped
    recorder_rank: str = ""
    listens: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()  # (local, remote) of its established connections
    asks: tuple[str, ...] = ()  # remote addresses that it tries to reach
    started: int = 0  # clock ticks since boot; 0 where it is not known
    ended: bool = False  # and its parent has not noticed yet


def scan(pids: Iterable[int] | None = None) -> tuple[Seen, ...]:
    """All processes (or these) but ourselves, our ancestors and the kernel's own threads."""
    ours = own_family()
    wanted = [pid for pid in (pids if pids is not None else all_pids()) if pid not in ours]
    commands = {pid: command for pid in wanted if (command := procfs.command_of(pid))}
    sockets = sockets_of(commands)
    ended = (pid for pid in wanted if pid not in commands and procfs.state_of(pid) == "Z")
    return (
        *(_seen(pid, command, sockets[pid]) for pid, command in commands.items()),
        *(Seen(pid, procfs.parent_of(pid), -1, (), started=procfs.start_time(pid), ended=True) for pid in ended),
    )


def all_pids() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def descendants_of(pids: Collection[int]) -> dict[int, int]:
    """Every process that one of these started, directly or not, with which of them."""
    parents = {pid: procfs.parent_of(pid) for pid in all_pids()}
    found = {}
    for pid in parents:
        above = parents[pid]
        while above > 1 and above not in pids:
            above = parents.get(above, 0)
        if above > 1 and pid not in pids:
            found[pid] = above
    return found


def own_family() -> set[int]:
    """This process and those that started it: a tool never looks at itself."""
    family, pid = set(), os.getpid()
    while pid > 1:
        family.add(pid)
        pid = procfs.parent_of(pid)
    return family


def _seen(pid: int, command: tuple[str, ...], sockets: Sockets) -> Seen:
    mapped = procfs.mapped_files(pid)
    file = recorder.find(mounts.answering(pid, procfs.mapped_files(pid, shared=True)))
    recording = recorder.counts_of(file) if file else None
    return Seen(
        pid=pid,
        parent=procfs.parent_of(pid),
        uid=procfs.uid_of(pid),
        command=command,
        identity=identity_of(environ_of(pid, KEYS), command, text_of(f"/proc/{pid}/cgroup")),
        framework=next((name.strip("/") for name in _FRAMEWORKS if any(name in path for path in mapped)), ""),
        recorder_rank=recording.rank if recording else "",
        listens=sockets.listens,
        links=tuple((link.local, link.remote) for link in sockets.connections if link.state == "ESTABLISHED"),
        asks=tuple(link.remote for link in sockets.connections if link.state == "SYN_SENT"),
        started=procfs.start_time(pid),
    )
