"""Threads of one process wait for each other's locks, each holding what the other wants.

A stack shows where a thread waits for a lock, not who holds it. What carries the cause is that two or more threads
wait without a timeout, at different places, and that no other thread is at work that could let one of them go.
"""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.analyze.facts import Facts
from diagnostics.analyze.thread_waits import For, ThreadWait, stood_still, waits_of
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.model import Process, State

_CANNOT_HOLD = (For.NOTIFY, For.JOIN)


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process) for process in facts.processes)


def _examine_process(process: Process) -> Case | None:
    waits = waits_of(process)
    lockers = [wait for wait in waits if wait.waits is For.LOCK and not wait.limited]
    if len(lockers) < 2 or process.state in (State.PROGRESSING, State.FINISHED):
        return None
    case = Case("lock-order")
    where = [process.rank]
    places = sorted({wait.at for wait in lockers})
    said = f"{len(lockers)} threads wait for locks without a timeout: {', '.join(places)}"
    if len(places) > 1:
        case.saw("places-differ", said, "stacks", where)
    else:
        case.saw("one-place", f"{said}: all at one place, so whoever holds it is elsewhere", "stacks", where)
    _look_at_others(case, [wait for wait in waits if wait not in lockers], where)
    if all(stood_still(process, wait.thread.tid) for wait in lockers):
        case.saw("not-scheduled", "none of them was scheduled between two looks", "two samples", where)
    elif process.samples:
        case.saw("ran", "one of them ran between two looks", "two samples", where)
    else:
        case.needs("a second look: attach to the process, or take the dump again after a minute")
    return case


def _look_at_others(case: Case, others: Sequence[ThreadWait], where: list[str]) -> None:
    able = [wait for wait in others if wait.waits not in _CANNOT_HOLD]
    busy = [wait for wait in able if wait.waits in (For.NOTHING, For.UNKNOWN, For.GIL)]
    if busy:
        said = f"another thread is elsewhere and may hold a lock: {busy[0].at}"
        case.saw("other-busy", said, "stacks", where)
    elif able:
        said = f"another thread waits for {able[0].waits.value}, and may hold a lock: {able[0].at}"
        case.saw("other-waits", said, "stacks", where)
    else:
        case.saw("no-other-thread", "no other thread of the process is at work that could let them go", "stacks", where)


CAUSE = Cause(
    id="lock-order",
    family="lock-order",
    title="Threads of one process wait for each other's locks",
    examine=examine,
    not_to_be_confused_with=(
        "Several threads that wait at one place contend for one lock, whose holder may be slow or stuck elsewhere. "
        "A wait with a timeout ends by itself."
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
