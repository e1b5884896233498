"""Ranks by what the frameworks themselves have in memory, for processes that nothing else could name. Pure.

A program may make its rank up from anything, but its framework has to be told: PyTorch's first process group holds the
rank's number, TensorFlow's cluster the address that each task serves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from itertools import pairwise

import msgspec

from diagnostics.discover.addresses import port_of
from diagnostics.discover.cluster_spec import MAX_RANKS
from diagnostics.model import Collection, Process, ProcessGroup
from diagnostics.model.rank import RankKind, child, parse, rank

FIRST_GROUP = "0"
"""PyTorch's own name for the group of all ranks."""
_AT_ONCE = 5.0
"""Seconds between two that a launcher starts one right after the other, at most."""


def first_group(process: Process) -> ProcessGroup | None:
    """The group of all ranks as it knows it, formed or not."""
    return next((group for group in process.groups if group.name == FIRST_GROUP and group.rank >= 0), None)


def named_by_framework(collection: Collection) -> Collection:
    """The collection with ranks for processes that so far were known by their process id alone."""
    free = [process for process in collection.processes if parse(process.rank).kind is RankKind.PROCESS]
    taken = {process.rank for process in collection.processes} | set(collection.expected)
    found = {process.rank: name for process in free if (name := _by_group(process) or _by_address(process, collection))}
    counts = Counter(found.values())
    found = {old: new for old, new in found.items() if counts[new] == 1 and new not in taken}
    found |= _the_missing_one(collection, {found.get(process.rank, process.rank) for process in collection.processes})
    return _renamed(collection, found) if found else collection


def _the_missing_one(collection: Collection, taken: Container[str]) -> dict[str, str]:
    """The one process that has ended, of those that one parent started together, where all but one rank are known."""
    known = [(process, group) for process in collection.processes if (group := first_group(process))]
    alike = {(process.host, process.parent, group.size) for process, group in known}
    host, parent, size = alike.pop() if len(alike) == 1 else ("", 0, 0)
    missing = set(range(size)) - {group.rank for _, group in known} if 1 < size <= MAX_RANKS else set()
    ended = [
        process
        for process in collection.processes
        if process.exit_status is not None and 0 < process.parent == parent and process.host == host
        and parse(process.rank).kind in (RankKind.PROCESS, RankKind.CHILD)
    ]  # fmt: skip
    if len(missing) != 1 or len(ended) != 1 or not _are_of_an_age([*(p for p, _ in known), *ended]):
        return {}
    name = str(rank(role_of([process for process, _ in known]), missing.pop()))
    return {} if name in taken else {ended[0].rank: name}


def _are_of_an_age(processes: Sequence[Process]) -> bool:
    """Whether they were started one right after the other."""
    ages = sorted(process.age for process in processes)
    return ages[0] >= 0 and all(after - before <= _AT_ONCE for before, after in pairwise(ages))


def _by_group(process: Process) -> str:
    group = first_group(process)
    return str(rank("worker", group.rank)) if group else ""


def _by_address(process: Process, collection: Collection) -> str:
    """The task whose port it alone serves."""
    tasks = next((other.tasks for other in collection.processes if other.tasks and other.host == process.host), ())
    ports = Counter(port_of(task.address) for task in tasks)
    served = {port_of(address) for address in process.listens}
    mine = [task.rank for task in tasks if port_of(task.address) in served and ports[port_of(task.address)] == 1]
    return mine[0] if len(mine) == 1 else ""


def _renamed(collection: Collection, names: Mapping[str, str]) -> Collection:
    return msgspec.structs.replace(
        collection, processes=tuple(_process(process, names) for process in collection.processes)
    )


def _process(process: Process, names: Mapping[str, str]) -> Process:
    return msgspec.structs.replace(
        process,
        rank=_name(process.rank, names),
        connections=tuple(
            msgspec.structs.replace(one, peer=_name(one.peer, names)) if one.peer else one
            for one in process.connections
        ),
        blocking_calls=tuple(
            msgspec.structs.replace(one, peer=_name(one.peer, names)) if one.peer else one
            for one in process.blocking_calls
        ),
    )


def _name(old: str, names: Mapping[str, str]) -> str:
    known = parse(old)
    if known.is_child:
        return str(child(names.get(known.parent, known.parent), known.pid))
    return names.get(old, old)


def role_of(processes: Sequence[Process]) -> str:
    """What these ranks are called, `worker` where they have no name."""
    return next((one.role for one in (parse(p.rank) for p in processes) if one.kind is RankKind.RANK), "worker")
