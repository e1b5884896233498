"""A process waits for a lock that processes share, and the one that had it has ended.

A lock of multiprocessing is a semaphore in shared memory; when a process is killed while it holds it, nobody releases
it. What carries the cause: the wait at such a lock, and that of the processes that have it open none is at work. A
lock of a Manager is in the Manager's process, where a thread of its own serves each client: there it is told by all of
these waiting for it.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts, names
from diagnostics.analyze.family import has_ended, how_it_ended
from diagnostics.analyze.served import held_up
from diagnostics.analyze.wait_graph import rank_in
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import (
    At,
    call_of,
    children_of,
    is_shared_lock,
    look_at_stillness,
    may_be_stuck,
    parent_of,
    threads_at,
)
from diagnostics.model import Process, Role, State, WaitKind

_BY_NATURE = (Role.QUEUE_GET, Role.QUEUE_PUT, Role.POOL_TASK, Role.INPUT_MAKE)


def examine(facts: Facts) -> Case | None:
    of_systems = (
        _examine_thread(at, facts)
        for process in facts.processes
        if may_be_stuck(process)
        for at in threads_at(process)
        if at.position.waits is WaitKind.LOCK and at.forever and is_shared_lock(at) and not at.position.has(*_BY_NATURE)
    )
    return likeliest((*of_systems, *(_examine_manager(process, facts) for process in facts.processes)))


def _examine_manager(server: Process, facts: Facts) -> Case | None:
    clients = [wait for wait in facts.waits if rank_in(wait.on) == server.rank and wait.kind is WaitKind.SOCKET]
    held = held_up(server) if clients else None
    if held is None or held.clients:
        return None
    waiting = held.threads
    case = Case("shared-lock-left")
    case.title = f"Clients of {server.rank} wait for a lock there, and none is left that could release it"
    ranks = list(dict.fromkeys(rank_in(wait.rank) for wait in clients))
    case.saw("waits", f"wait for {server.rank}, which has the lock for them", "kernel, stacks", ranks)
    said = f"all {len(waiting)} threads that serve a client wait for one lock: no client that is there can release it"
    case.saw("nobody-holds", said, "stacks", [server.rank])
    if len(waiting) == 1:
        case.saw("may-be-its-own", "it is a single client, which may have taken it before", "stacks", ranks)
    _look_at_ended(case, server, facts)
    if hung := [process for process in facts.processes if process.rank in ranks and process.state is State.HUNG]:
        case.saw("hung", hung[0].state_why or "it hangs", "samples", names(hung))
    return case


def _look_at_ended(case: Case, process: Process, facts: Facts) -> None:
    parent = parent_of(process, facts)
    siblings = children_of(parent, facts) if parent else children_of(process, facts)
    if ended := [other for other in siblings if has_ended(other)]:
        said = f"a process beside it has ended: {ended[0].rank} {how_it_ended(ended[0])}"
        case.saw("helper-ended", said, "processes", names(ended))


def _examine_thread(at: At, facts: Facts) -> Case | None:
    process = at.process
    call = call_of(process, at.thread.tid)
    case = Case("shared-lock-left")
    case.saw("waits", f"waits for a lock that processes share: {at.where}", "kernel", [process.rank])
    others = set(call.others) if call else set()
    openers = [p for p in facts.processes if p.host == process.host and p.pid in others and p is not process]
    working = [other for other in openers if not has_ended(other) and _may_hold(other)]
    if working:
        case.saw("others-work", "another process that has it open may hold it", "processes", names(working))
    elif openers and len(openers) == len(others - {process.pid}):
        said = "every other process that has it open waits for a child or for the lock: none of them can release it"
        case.saw("nobody-holds", said, "open files, stacks", names(openers))
    _look_at_ended(case, process, facts)
    look_at_stillness(case, process, [at])
    return case


def _may_hold(process: Process) -> bool:
    return any(not (at.position.waits is WaitKind.CHILD or is_shared_lock(at)) for at in threads_at(process))


CAUSE = Cause(
    id="shared-lock-left",
    family="helper-process-dead",
    title="A process waits for a lock that processes share, and whoever had it has ended",
    examine=examine,
    not_to_be_confused_with=(
        "Workers that wait for their turn at a queue's lock are idle by nature. A lock inside of one process that a "
        "fork copied is `fork-with-threads`."
    ),
    versions="multiprocessing.Lock, Value, Array, Queue; semaphores and mutexes in shared memory of any program",
    remedies=(
        Remedy("why-it-ended", "See why the process ended: its exit code, its log, dmesg where memory ran out"),
        Remedy("lock-timeout", "Take the lock with a limit, and look whether the others live when it passes"),
        Remedy("lock-that-ends", "Use a lock that ends with its process: flock on a file, or a robust mutex"),
    ),
    references=("https://docs.python.org/3/library/multiprocessing.html#synchronization-primitives",),
    search_for=(
        "    acquire (multiprocessing/synchronize.py)",
        "    accumulate (count.py:6)",
        "/dev/shm/sem.kHWfs4 (deleted)",
    ),
)
