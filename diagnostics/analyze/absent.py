"""Ranks that are not there, known from what the others still hold of them. Pure.

TensorFlow's cluster names every task. One that has answered once and to which nobody is connected any more is gone.
One that a session which is being made waits for, and that has never answered, has not come. PyTorch's first group says
how many ranks it takes: while it is not formed, and each that came is known, the others have not come. Who is at a
store has met the others there. A launcher says how many nodes there are, and which of them it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from diagnostics.analyze.progress import MAY_BE_STUCK
from diagnostics.discover.addresses import is_loopback, port_of
from diagnostics.discover.by_framework import first_group, role_of
from diagnostics.discover.cluster_spec import MAX_RANKS, index_of
from diagnostics.discover.identity import flags_of
from diagnostics.model import Collection, Process, Role, Task
from diagnostics.model.rank import SERVER_ROLES, parse, rank
from diagnostics.stacks.position import threads_with

MOST = 64
_WAITS = (Role.STEP, Role.RENDEZVOUS, Role.COLLECTIVE, Role.TEARDOWN)


class Absent(NamedTuple):
    """`was_there`: it had come once. `fact`: by what its absence is known."""

    rank: str
    was_there: bool
    fact: str


def absent_ranks(collection: Collection) -> tuple[Absent, ...]:
    found: dict[str, Absent] = {}
    for one in (
        *_of_clusters(collection), *_of_groups(collection), *_of_nodes(collection), *_of_stores(collection),
    ):  # fmt: skip
        found.setdefault(one.rank, one)
    return tuple(found.values())[:MOST]


def with_absent(collection: Collection, absent: Iterable[Absent]) -> Collection:
    """The collection that also expects the ranks of which others tell."""
    names = (*collection.expected, *(one.rank for one in absent))
    return msgspec.structs.replace(collection, expected=tuple(dict.fromkeys(names)))


def _of_clusters(collection: Collection) -> Iterator[Absent]:
    seen = {process.rank for process in collection.processes}
    for process in collection.processes:
        if not process.tasks or not threads_with(process, *_WAITS):
            continue
        served = {port_of(address) for other in collection.processes for address in other.listens}
        far = [
            task
            for task in process.tasks
            if task.rank not in seen and port_of(task.address) not in served and not _reached(task, collection)
        ]
        for task in far:
            if task.answered:
                said = f"it had answered {process.rank}, which has no connection to {task.address} any more"
                yield Absent(task.rank, True, said)
        if process.state in MAY_BE_STUCK and threads_with(process, Role.STEP):
            for task in far:
                if not task.answered and is_loopback(task.address):
                    said = f"nobody serves {task.address} of this machine, and nobody is connected to it"
                    yield Absent(task.rank, False, said)
        if threads_with(process, Role.RENDEZVOUS) and not any(task.answered for task in far):
            servers = [task for task in far if parse(task.rank).role in SERVER_ROLES]
            for task in servers or far:
                said = f"{process.rank} waits for it, and has no connection to {task.address}"
                yield Absent(task.rank, False, said)


def _reached(task: Task, collection: Collection) -> bool:
    """Whether anybody is connected to where it serves."""
    port = port_of(task.address)
    return any(
        connection.state == "ESTABLISHED" and port_of(connection.remote) == port
        for process in collection.processes
        for connection in process.connections
    )


def _of_groups(collection: Collection) -> Iterator[Absent]:
    forming = [
        (process, group)
        for process in collection.processes
        if (group := first_group(process)) and not group.ranks and threads_with(process, Role.RENDEZVOUS)
    ]
    sizes = {group.size for _, group in forming}
    first = next((process for process, group in forming if group.rank == 0), forming[0][0] if forming else None)
    others = [process for process, _ in forming if process is not first]
    if first is None or len(sizes) != 1 or not (_knows_all(first, others) or _are_alone([first, *others])):
        return
    come = {group.rank for _, group in forming}
    missing = [number for number in range(min(sizes.pop(), MOST + len(come))) if number not in come]
    for number in missing[:MOST]:
        said = f"{first.rank} waits for {len(come) + len(missing)} ranks, of which {len(come)} have come"
        yield Absent(str(rank(role_of([first]), number)), False, said)


def _of_stores(collection: Collection) -> Iterator[Absent]:
    """Ranks of the job that are nowhere, while those that have met at a store wait there for a key of somebody's."""
    seen = {process.rank for process in collection.processes if process.pid > 0}
    waiting = [process for process in collection.processes if threads_with(process, Role.KEY)]
    if len(waiting) < 2 or not _are_alone(waiting):
        return
    for name in collection.expected:
        if name not in seen:
            yield Absent(name, True, f"{waiting[0].rank} has met the others at a store, and this one is not there")


def _of_nodes(collection: Collection) -> Iterator[Absent]:
    """The one node of which no launcher is seen, while those of all other nodes wait for it.

    Of several it is not known which of them have come.
    """
    waiting = [p for p in collection.processes if parse(p.rank).is_launcher and threads_with(p, Role.RENDEZVOUS)]
    told = [flags_of(process.command) for process in waiting]
    nodes = {index_of(flags.get("nnodes", "")) for flags in told}
    come = {index_of(flags.get("node_rank", "")) for flags in told}
    size = nodes.pop() if len(nodes) == 1 else None
    if size is None or size > MAX_RANKS or None in come or len(come) != size - 1:
        return
    for number in set(range(size)) - come:
        said = f"{waiting[0].rank} waits for {size} nodes, and the launcher of this one is not known"
        yield Absent(str(rank("node", number)), False, said)


def _are_alone(processes: list[Process]) -> bool:
    """Whether they meet by a file or the like, and are connected to nobody else."""
    pids = {process.rank for process in processes}
    return all(c.peer in pids for p in processes for c in p.connections if c.state == "ESTABLISHED")


def _knows_all(first: Process, others: list[Process]) -> bool:
    """Whether the first rank serves the meeting, and everybody who is connected to it there is known."""
    ports = {port_of(address) for address in first.listens}
    inside = [c for c in first.connections if c.state == "ESTABLISHED" and port_of(c.local) in ports]
    return (
        bool(inside)
        and all(c.peer for c in inside)
        and all(any(c.peer == first.rank for c in other.connections) for other in others)
    )
