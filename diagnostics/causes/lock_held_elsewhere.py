"""A thread waits for a lock whose holder is known, and that one stands in a wait for something else.

Who holds it is told by the lock's owner, or in Python by the source of the functions in which the threads stand. What
the holder waits for (an answer, a file, a child, room in a queue) is what is to come, or to get a limit.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.lock_order import holder_of
from diagnostics.causes.observe import INSIDE, OUTSIDE, At, look_at_stillness, may_be_stuck, threads_at
from diagnostics.model import Process, WaitKind


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process) for process in facts.processes if may_be_stuck(process))


def _examine_process(process: Process) -> Case | None:
    threads = threads_at(process)
    lockers = [at for at in threads if at.position.waits is WaitKind.LOCK and at.forever]
    holders = {at.thread.tid: at for at in threads if at.position.waits in (*INSIDE, *OUTSIDE, WaitKind.TIME)}
    waiting, holder = next(((at, holders[holder_of(at)]) for at in lockers if holder_of(at) in holders), (None, None))
    if waiting is None or holder is None:
        return None
    case = Case("lock-held-elsewhere")
    where = [process.rank]
    case.title = f"A thread waits for a lock, and the one that holds it stands elsewhere: {holder.where}"
    case.saw("waits", f"waits for a lock without a timeout: {waiting.where}", "stacks", where)
    said = f"thread {holder.thread.tid} holds it, and waits for {_what(holder)}: {holder.where}"
    case.saw("holder-waits", said, "owners of the locks, source", where)
    if not holder.forever:
        case.saw("limited", "its wait has a limit, and ends by itself", "stacks, kernel", where)
    if holder.position.waits is WaitKind.TIME:
        case.saw("sleeps", "it sleeps, and wakes by itself", "stacks, kernel", where)
    look_at_stillness(case, process, [waiting, holder])
    return case


def _what(at: At) -> str:
    return at.position.waits_for or at.position.waits.words


CAUSE = Cause(
    id="lock-held-elsewhere",
    family="lock-order",
    title="A thread waits for a lock, and the one that holds it stands in a wait for something else",
    examine=examine,
    not_to_be_confused_with=(
        "A holder that computes gives the lock back when it is done. Where the holder waits for a lock as well, it is "
        "`lock-order`; where it is a process that holds a file's lock, `file-lock-held`."
    ),
    versions="Any program with threads; Python's locks by their source, mutexes of native code by their owner",
    remedies=(
        Remedy(
            "wait-without-lock",
            "Let the lock go before that wait: take what is needed under the lock, and put, ask or join after it",
        ),
        Remedy("limit-the-wait", "Or give the holder's wait a limit, and let the lock go when it passes"),
    ),
    references=("https://docs.python.org/3/library/threading.html#lock-objects",),
    search_for=(
        'Thread 4711 (idle): "feeder"',
        "    put (queue.py:140)",
        "    feed (stages.py:13)",
        'Thread 4712 (idle): "eater"',
        "    eat (stages.py:18)",
    ),
)
