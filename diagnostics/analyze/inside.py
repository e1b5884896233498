"""Waits for children and threads of the same process, of which one does its own work. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from diagnostics.analyze.clocks import only_reports, only_tells
from diagnostics.analyze.edges import node_at, wait_of
from diagnostics.analyze.family import Parents, listens
from diagnostics.model import Position, Process, Role, Wait, WaitKind
from diagnostics.stacks.position import is_idle, main_position, pairs

_MOST = 8
"""Children that are named for one wait."""
_INSIDE = (WaitKind.CONDITION, WaitKind.JOIN, WaitKind.INPUT, WaitKind.LOCK)
HANDS_OVER = (Role.INPUT_NEXT, Role.QUEUE_GET, Role.QUEUE_PUT, Role.POOL_WAIT)
_MEETS = (Role.COLLECTIVE, Role.BARRIER)
_WORKS_FOR_OTHERS = (Role.INPUT_MAKE, Role.POOL_TASK)


def waits_inside(process: Process, position: Position, parents: Parents) -> Iterator[Wait]:
    """Who waits inside of its process waits for a child or a thread of it that is at work on something of its own."""
    if position.waits is WaitKind.CHILD:
        for child in parents.children_of(process)[:_MOST]:
            yield wait_of(process, position, child.rank, f"in {position.operation} for its end", WaitKind.CHILD)
    if position.waits is WaitKind.DEVICE:
        yield from _for_callbacks(process, position)
    if position.waits not in _INSIDE and not position.has(*HANDS_OVER):
        return
    if position.has(Role.INPUT_NEXT, Role.POOL_WAIT):
        helpers = [
            child for child in parents.children_of(process)
            if any(one.has(*_WORKS_FOR_OTHERS) and not is_idle(one) for _, one in pairs(child))
        ]  # fmt: skip
        for child in helpers[:_MOST]:
            said = f"in {position.operation}, which it is to answer"
            yield wait_of(process, position, child.rank, said, WaitKind.INPUT)
        if helpers:
            return
    main = main_position(process)
    tasks = position.has(Role.POOL_WAIT) and any(one.has(Role.POOL_TASK) for one in _at_work(process))
    accepting = {call.tid for call in process.blocking_calls if listens(call, process)}
    locked = position.waits is WaitKind.JOIN and any(one.waits is WaitKind.LOCK for one in _at_work(process))
    tells = main.tid if main is not None and only_tells(process) else 0
    others = [one for one in _at_work(process) if one.own and one.tid not in (position.tid, tells)]
    alone = others[0] if len(others) == 1 and others[0].waits is not WaitKind.LOCK else None
    for _, other in pairs(process):
        if other.tid == tells:
            continue  # it brings nothing, and holds nothing that it has not given back in between
        if tasks and not other.has(Role.POOL_TASK):
            continue  # the pool's tasks owe the result
        if (locked or position.has(Role.POOL_TASK)) and other.waits is WaitKind.TIME:
            continue  # who works by the clock owes a task nothing, and ends before one that stands at a lock
        if position.waits is not WaitKind.LOCK and only_reports(process, other):
            continue  # it may hold a lock in its sleep, and brings nothing else
        if position.waits is WaitKind.PIPE and other.has(Role.INPUT_NEXT):
            continue  # what comes through a pipe comes from another process, or a thread that feeds
        if other.tid in accepting or (other == main and other.has(Role.RENDEZVOUS, *_MEETS)):
            continue  # who waits for other ranks, or for the next client, notifies nobody here
        holds = position.waits is WaitKind.LOCK and other == alone  # nobody else is there who could
        owes = tasks or holds or _has_its_own_wait(other) or (locked and other.waits is WaitKind.LOCK)
        if other.tid != position.tid and not is_idle(other) and owes:
            said = f"in {position.operation or 'a wait'} for a thread that stands elsewhere"
            yield wait_of(process, position, node_at(process, other.tid), said, position.waits)


def _for_callbacks(process: Process, position: Position) -> Iterator[Wait]:
    """A device's program waits for the host's code that it calls."""
    for _, other in pairs(process):
        if other.tid != position.tid and other.has(Role.CALLBACK) and other.own and not is_idle(other):
            said = f"in {position.operation or 'a wait'} for a callback of the host's"
            yield wait_of(process, position, node_at(process, other.tid), said, WaitKind.DEVICE)


def _at_work(process: Process) -> Iterator[Position]:
    return (one for _, one in pairs(process) if not is_idle(one))


def _has_its_own_wait(position: Position) -> bool:
    """Whether a thread waits for something that is no other thread's notification: then others may wait for it."""
    if position.has(Role.STEP, Role.RENDEZVOUS, *_MEETS):
        return True
    return position.own and position.waits not in (WaitKind.CONDITION, WaitKind.JOIN, WaitKind.LOCK, WaitKind.UNKNOWN)
