"""Threads of one process wait for each other's locks, each holding what the other wants.

Where the owner's thread id stands in the lock (mutexes of pthreads), the circle is read from there. A lock of
Python has no owner: then two or more threads wait without a timeout at different places, and no other thread is at
work that could let one of them go.
"""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.analyze.facts import Facts
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import (
    INSIDE,
    At,
    call_of,
    is_shared_lock,
    look_at_stillness,
    may_be_stuck,
    places,
    threads_at,
    tids_of,
)
from diagnostics.model import Process, WaitKind


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process) for process in facts.processes if may_be_stuck(process))


def _examine_process(process: Process) -> Case | None:
    threads = threads_at(process)
    lockers = [at for at in threads if at.position.waits is WaitKind.LOCK and at.forever and not is_shared_lock(at)]
    if len(lockers) < 2:
        return None
    case = Case("lock-order")
    where = [process.rank]
    said = f"{len(lockers)} threads wait for locks without a timeout: {places(lockers)}"
    circle = circle_of({at.thread.tid: holder_of(at) for at in lockers})
    if circle:
        said = f"each waits for a mutex that the next holds: threads {', '.join(map(str, circle))}"
        case.saw("circle", said, "owners of the locks", where)
        lockers = [at for at in lockers if at.thread.tid in circle]
    elif len({at.where for at in lockers}) > 1:
        case.saw("places-differ", said, "stacks", where)
    elif len(locks := {lock for at in lockers if (lock := lock_of(at))}) > 1:
        case.saw("locks-differ", f"{said}: at one place, for {len(locks)} different locks", "stacks, kernel", where)
    else:
        case.saw("one-place", f"{said}: all at one place, so whoever holds it is elsewhere", "stacks", where)
    if not circle:
        _look_at_owners(case, lockers, where)
        _look_at_others(case, [at for at in threads if at not in lockers], where)
    look_at_stillness(case, process, lockers)
    return case


def holder_of(at: At) -> int:
    """The thread that holds what it waits for; 0 where that is not known."""
    call = call_of(at.process, at.thread.tid)
    return at.position.holder or (call.holder or call.owner if call else 0)


def lock_of(at: At) -> str:
    """The lock's address, "" where the kernel does not tell."""
    call = call_of(at.process, at.thread.tid)
    return call.what.partition(" ")[0] if call and call.kind in ("futex", "mutex") else ""


def circle_of(holders: dict[int, int]) -> tuple[int, ...]:
    """Threads of which each waits for the next; () where there is no such circle of two or more."""
    for start in holders:
        path = [start]
        while (following := holders.get(path[-1], 0)) and following not in path:
            path.append(following)
        if following and len(circle := path[path.index(following) :]) > 1:
            return tuple(circle)
    return ()


def _look_at_owners(case: Case, lockers: Sequence[At], where: list[str]) -> None:
    """A holder that waits for no lock is not part of a circle."""
    process = lockers[0].process
    waiting = {at.thread.tid for at in lockers}
    known = {thread.tid for thread in process.threads} | tids_of(process)
    held = {at.thread.tid: holder_of(at) for at in lockers if holder_of(at)}
    if any(owner not in known for owner in held.values()):
        case.saw("owner-gone", "the owner of the lock is no thread of the process", "owners of the locks", where)
    elif len(held) == len(lockers) and not waiting & set(held.values()):
        said = "whoever holds the lock waits for none of these"
        case.saw("held-elsewhere", said, "owners of the locks", where)


def _look_at_others(case: Case, others: Sequence[At], where: list[str]) -> None:
    able = [at for at in others if at.position.waits not in INSIDE]
    busy = [at for at in able if at.position.waits in (WaitKind.NOTHING, WaitKind.UNKNOWN, WaitKind.GIL)]
    if busy:
        said = f"another thread is elsewhere and may hold a lock: {busy[0].where}"
        case.saw("other-busy", said, "stacks", where)
    elif able:
        waits = able[0].position.waits.words
        case.saw(
            "other-waits", f"another thread waits for {waits}, and may hold a lock: {able[0].where}", "stacks", where
        )
    else:
        said = "no other thread of the process is at work that could let them go"
        case.saw("no-other-thread", said, "stacks", where)


CAUSE = Cause(
    id="lock-order",
    family="lock-order",
    title="Threads of one process wait for each other's locks",
    examine=examine,
    not_to_be_confused_with=(
        "Several threads that wait at one place contend for one lock, whose holder may be slow or stuck elsewhere. "
        "A wait with a timeout ends by itself. A mutex whose owner is no thread of the process is "
        "`lock-owner-gone`; a single thread that waits is `lock-taken-again`."
    ),
    versions="Any program with threads; Python's threading.Lock and RLock, and mutexes of native code",
    remedies=(
        Remedy("one-order", "Take the locks in one order everywhere: the report names the places where they are taken"),
        Remedy("one-lock", "Or hold only one at a time: copy what is needed, let go, then take the next"),
        Remedy("lock-timeout", "Or take them with a timeout and let go of all when it passes"),
    ),
    references=(
        "https://docs.python.org/3/library/threading.html#lock-objects",
        "https://github.com/python/cpython/issues/50970",
    ),
    scenario="lock-order",
    search_for=(
        'Thread 4711 (idle): "MainThread"',
        "    lock_PyThread_acquire_lock (libpython3.11.so.1.0)",
        "    save_numbers (train.py:27)",
        'Thread 4712 (idle): "saver"',
        "    lock_PyThread_acquire_lock (libpython3.11.so.1.0)",
        "    write_metrics (train.py:21)",
    ),
)
