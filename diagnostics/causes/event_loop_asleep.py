"""An event loop sleeps, and nothing outside of it is there that could wake it: its coroutines wait for each other.

What carries the cause: the main thread sleeps in its loop without a limit, no other thread is at work, and the
process has no connection, no listening socket and no child that could send it anything.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.analyze.family import has_ended
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import (
    INSIDE,
    children_of,
    look_at_stillness,
    main_at,
    may_be_stuck,
    threads_at,
)
from diagnostics.model import Coroutine, Process, Role
from diagnostics.stacks.stand import stand_of


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process, facts) for process in facts.processes if may_be_stuck(process))


def _examine_process(process: Process, facts: Facts) -> Case | None:
    threads = threads_at(process)
    only_reports = process.tasks_watched is not None and process.tasks_watched.stand
    loops = [at for at in threads if at.position.has(Role.EVENT_LOOP) and (at.forever or only_reports)]
    main = main_at(process)
    if main is None or main not in loops:
        return None
    case = Case("event-loop-asleep")
    where = [process.rank]
    if only_reports and process.tasks_watched:
        said = f"its event loop wakes for one alone that sleeps and reports: {process.tasks_watched.sleeper}"
        case.saw("sleeps", said, "memory of asyncio, twice", where)
    else:
        case.saw("sleeps", f"its event loop sleeps without a limit: {main.where}", "stacks", where)
    for one in process.coroutines[:4]:
        said = f"{one.task} is suspended in {' > '.join(frame.function for frame in one.frames[-4:])}"
        case.saw("suspended", said, "memory of asyncio", where)
    at_locks = {_place(one) for one in process.coroutines if stand_of(one.frames).has(Role.AWAITS_LOCK)}
    if len(at_locks) > 1:  # at one place it may be one lock, or a slot that was not given back
        case.saw("takes-locks", "tasks wait for locks at several places", "memory of asyncio", where)
    others = [at for at in threads if at not in loops and at.position.waits not in INSIDE]
    if others:
        case.saw("other-thread", f"another thread may wake it: {others[0].where}", "stacks", where)
    open_ = [connection for connection in process.connections if connection.state == "ESTABLISHED"]
    children = [child for child in children_of(process, facts) if not has_ended(child)]
    own = {connection.local for connection in process.connections}
    if open_ and all(connection.remote in own for connection in open_):
        case.saw("connected-to-itself", "its connections have both ends in itself", "connections", where)
    elif open_ or process.listens:
        case.saw("connected", "it has a socket, by which others may still wake it", "connections", where)
    elif children:
        case.saw("child", "it has a child, which may still wake it", "processes", where)
    elif process.samples and not others:
        said = "it has no connection, child or other thread that could wake it"
        case.saw("nobody-outside", said, "connections, processes", where)
    look_at_stillness(case, process, [main])
    if not process.coroutines:
        case.needs("its tasks, and which awaits which: `python -m asyncio pstree PID` of CPython 3.14 and newer")
    return case


def _place(one: Coroutine) -> tuple[str, int]:
    frame = stand_of(one.frames).frame or one.frames[-1]
    return frame.file, frame.line


CAUSE = Cause(
    id="event-loop-asleep",
    family="lost-wakeup",
    title="An event loop sleeps, and nothing is there that could wake it: its coroutines wait for each other",
    examine=examine,
    not_to_be_confused_with=(
        "A server's loop sleeps until somebody asks. A client's loop waits for a reply: then the one that is asked, or "
        "the way to it, is to be looked at."
    ),
    versions="asyncio, uvloop, trio and other event loops",
    remedies=(
        Remedy("wait-for", "Put a limit on every await of something of one's own: asyncio.wait_for, asyncio.timeout"),
        Remedy("one-direction", "Let coroutines not await each other's events or queues in a circle"),
        Remedy(
            "keep-results", "Set the result or the exception of every future, in a `finally`; keep references to tasks"
        ),
    ),
    references=(
        "https://docs.python.org/3/library/asyncio-dev.html",
        "https://docs.python.org/3/library/asyncio-task.html#timeouts",
    ),
    search_for=(
        "    select (selectors.py:468)",
        "    _run_once (asyncio/base_events.py:1898)",
        "    run_forever (asyncio/base_events.py:607)",
    ),
)
