"""What there is on this machine: every process that may be looked at, with what discovery needs. Touches none."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from diagnostics.collector import procfs
from diagnostics.collector import scan as collector
from diagnostics.collector.scan import all_pids as all_pids
from diagnostics.collector.sources import mounts, recorder
from diagnostics.discover.identity import KEYS, Identity, batch_of, identity_of
from diagnostics.model import Record
from diagnostics.transport.lines import Told


class Seen(Record, frozen=True):
    """One process as it is seen from outside."""

    pid: int
    parent: int
    uid: int
    command: tuple[str, ...]
    identity: Identity | None = None
    batch: str = ""  # the allocation that it runs in
    framework: str = ""  # "tensorflow", "torch", "jaxlib" where its library is mapped
    recorder_rank: str = ""
    listens: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()  # (local, remote) of its established connections
    asks: tuple[str, ...] = ()  # remote addresses that it tries to reach
    started: int = 0  # clock ticks since boot; 0 where it is not known
    ended: bool = False  # and its parent has not noticed yet
    status: int | None = None  # how it ended, negative for the signal; None where it runs, or that is not told


def scan(pids: Iterable[int] | None = None) -> tuple[Seen, ...]:
    """All processes (or these) but ourselves, our ancestors and the kernel's own threads."""
    told = msgspec.convert(collector.scan(KEYS, pids), type=list[Told])
    return tuple(seen_of(one, _recorder_rank(one.pid)) for one in told)


def seen_of(told: Told, recorder_rank: str = "") -> Seen:
    return Seen(
        pid=told.pid, parent=told.parent, uid=told.uid, command=told.command,
        identity=identity_of(told.environ, told.command, told.cgroup), batch=batch_of(told.environ),
        framework=next(iter(collector.FRAMEWORK.findall(" ".join(told.frameworks))), ""),
        recorder_rank=recorder_rank, listens=told.listens, links=told.links, asks=told.asks,
        started=told.started, ended=told.ended, status=told.status,
    )  # fmt: skip


def _recorder_rank(pid: int) -> str:
    file = recorder.find(mounts.answering(pid, procfs.mapped_files(pid, shared=True)))
    return recorder.rank_of(file) if file else ""


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
