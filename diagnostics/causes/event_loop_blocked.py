"""A coroutine waits in plain code, and so its own event loop, which would have to bring what it waits for, stands.

What carries the cause: a thread that runs an event loop waits, inside of a coroutine, for a result, a lock or another
thread without a limit, and no other thread is at work that could end the wait.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.analyze.family import has_ended
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import INSIDE, At, children_of, is_python, look_at_stillness, may_be_stuck
from diagnostics.causes.observe import threads_at as at_work
from diagnostics.model import Process, Role, WaitKind


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process, facts) for process in facts.processes if may_be_stuck(process))


def _examine_process(process: Process, facts: Facts) -> Case | None:
    threads = at_work(process)
    blocked = [at for at in threads if _blocks(at)]
    if not blocked:
        return None
    at = blocked[0]
    case = Case("event-loop-blocked")
    where = [process.rank]
    said = f"a coroutine waits in plain code for {at.position.waits_for}, so its event loop stands: {at.where}"
    case.saw("blocks", said, "stacks", where)
    if at.position.has(Role.POOL_WAIT):
        case.saw("asks-for-result", "it waits for a result that a loop or a pool has to bring", "stacks", where)
    others = [one for one in threads if one not in blocked and is_python(one) and one.position.waits not in INSIDE]
    others = [one for one in others if not one.reports]
    children = [child for child in children_of(process, facts) if not has_ended(child)]
    if others or children:
        who = others[0].where if others else children[0].rank
        case.saw("other-thread", f"something else is there that may bring it: {who}", "stacks, processes", where)
    else:
        case.saw("no-other-thread", "no other thread is at work that could bring it", "stacks", where)
    look_at_stillness(case, process, [at])
    return case


def _blocks(at: At) -> bool:
    waits = at.position.waits in (*INSIDE, WaitKind.LOCK)
    return at.position.has(Role.IN_LOOP) and not at.position.has(Role.EVENT_LOOP) and waits and at.forever


CAUSE = Cause(
    id="event-loop-blocked",
    family="callback-deadlock",
    title="A coroutine waits in plain code for what its own event loop would have to bring",
    examine=examine,
    not_to_be_confused_with=(
        "Slow code in a coroutine stands as well, and comes back. A loop that sleeps, whose coroutines wait for "
        "each other, is `event-loop-asleep`."
    ),
    versions="asyncio and what stands in for it; run_coroutine_threadsafe(...).result(), Lock.acquire, Thread.join",
    remedies=(
        Remedy("await-it", "In a coroutine await: `await asyncio.wrap_future(future)`, not `future.result()`"),
        Remedy(
            "other-thread",
            "Call plain code that waits with `await asyncio.to_thread(...)`, so that the loop goes on meanwhile",
        ),
        Remedy(
            "asyncio-queue",
            "Between coroutines use asyncio.Queue, Lock and Event, and await them",
            at=("Queue.get", "Queue.put", "Lock.acquire", "Event.wait", "Condition.wait", "Semaphore.acquire"),
        ),
        Remedy("wait-for", "Give result(), acquire() and join() a limit of time"),
    ),
    references=("https://docs.python.org/3/library/asyncio-dev.html#running-blocking-code",),
    search_for=(
        "    result (concurrent/futures/_base.py:451)",
        "    _run (asyncio/events.py:80)",
        "    _run_once (asyncio/base_events.py:1922)",
    ),
)
