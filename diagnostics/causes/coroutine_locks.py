"""Coroutines wait for locks of asyncio that other coroutines hold, which wait for locks themselves.

What carries the cause: an event loop sleeps, and several of its tasks are suspended in acquiring a lock, at different
places of the program.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import look_at_stillness, main_at, may_be_stuck
from diagnostics.model import Process, Role
from diagnostics.stacks.stand import stand_of


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process) for process in facts.processes if may_be_stuck(process))


def _examine_process(process: Process) -> Case | None:
    main = main_at(process)
    stands = {one.task: stand_of(one.frames) for one in process.coroutines}
    taking = {task: stand.frame for task, stand in stands.items() if stand.has(Role.AWAITS_LOCK) and stand.frame}
    if main is None or not main.position.has(Role.EVENT_LOOP) or len(taking) < 2:
        return None
    case = Case("coroutine-locks")
    where = [process.rank]
    for task, place in list(taking.items())[:4]:
        said = f"{task} waits for a lock in {place.function} ({place.file.rpartition('/')[2]}:{place.line})"
        case.saw("takes-lock", said, "memory of asyncio", where)
    if len({(place.file, place.line) for place in taking.values()}) > 1:
        case.saw("places-differ", "they wait at different places", "memory of asyncio", where)
    else:
        case.saw("one-place", "they wait at one place, for one that may only be slow", "memory of asyncio", where)
    look_at_stillness(case, process, [main])
    return case


CAUSE = Cause(
    id="coroutine-locks",
    family="lock-order",
    title="Coroutines wait for each other's locks",
    examine=examine,
    not_to_be_confused_with=(
        "Many coroutines that wait for one lock at one place wait for the one that has it, which may wait for a server."
    ),
    versions="asyncio.Lock, Semaphore and Condition; CPython 3.11 to 3.13, whose tasks are read",
    remedies=(
        Remedy("same-order", "Take locks in the same order everywhere, or put one lock in place of two"),
        Remedy("no-await-under-lock", "Await nothing slow while a lock is held; give acquire a limit: asyncio.timeout"),
    ),
    references=("https://docs.python.org/3/library/asyncio-sync.html",),
    search_for=("    acquire (asyncio/locks.py:114)", "    __aenter__ (asyncio/locks.py:15)"),
)
