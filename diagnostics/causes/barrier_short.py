"""Threads of a process wait at a barrier for one more that does not come: it has ended, has left, or stands elsewhere.

A barrier counts those that come. Whoever returns or fails before it leaves the others there for ever. What carries
the cause: threads at a barrier without a limit, and no other thread of the process that is on its way to it.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts, names
from diagnostics.analyze.family import has_ended
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import At, children_of, look_at_stillness, may_be_stuck, nobody_comes, threads_at
from diagnostics.model import Process, Role, WaitKind

_OF_OTHERS = (Role.SHARED, Role.COLLECTIVE, Role.RENDEZVOUS, Role.STEP, Role.INPUT_NEXT, Role.DEVICE, Role.OPERATION)
"""Such a barrier is one of several processes, or of a framework."""


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process, facts) for process in facts.processes if may_be_stuck(process))


def _examine_process(process: Process, facts: Facts) -> Case | None:
    threads = threads_at(process)
    waiting = [at for at in threads if _at_a_barrier(at)]
    if not waiting or any(at.position.has(*_OF_OTHERS) for at in threads):
        return None
    case = Case("barrier-short")
    where = [process.rank]
    case.title = f"Threads wait at a barrier for one that does not come: {waiting[0].where}"
    case.saw("waits", f"{len(waiting)} at a barrier, without a timeout: {waiting[0].where}", "stacks", where)
    if ended := [child for child in children_of(process, facts) if has_ended(child)]:
        said = "a process that it started has ended: it may have been the one to come"
        case.saw("child-ended", said, "processes", names(ended))
    if nobody_comes(process, waiting):
        said = "no other thread of it is on its way there: who is missing has ended, or has left"
        case.saw("nobody-comes", said, "stacks", where)
    else:
        case.saw("other-thread", "another thread of it may still come", "stacks", where)
    look_at_stillness(case, process, waiting)
    return case


def _at_a_barrier(at: At) -> bool:
    return at.position.has(Role.BARRIER) and at.position.waits is WaitKind.CONDITION and at.forever


CAUSE = Cause(
    id="barrier-short",
    family="rank-elsewhere",
    title="Threads wait at a barrier for one that does not come",
    examine=examine,
    not_to_be_confused_with=(
        "A thread that computes, reads or sleeps is on its way, and comes. Ranks that meet at a barrier of a framework "
        "are `rank-elsewhere` or `tf-barrier-short`."
    ),
    versions="threading.Barrier, pthread_barrier_wait, std::barrier, and barriers of any program",
    remedies=(
        Remedy(
            "same-number",
            "Let every participant come as often as the others; whoever fails or leaves calls Barrier.abort() first",
            only="python",
        ),
        Remedy(
            "count-participants",
            "Count who comes to a barrier: who returns early leaves the others waiting (std::barrier: arrive_and_drop)",
            only="compiled",
        ),
        Remedy(
            "barrier-timeout",
            "Give a barrier a timeout: Barrier.wait(timeout) raises in all that wait, and whoever fails calls abort()",
            only="python",
        ),
    ),
    references=("https://docs.python.org/3/library/threading.html#barrier-objects",),
    search_for=("    _wait (threading.py:712)", "    wait (threading.py:672)", "    handle (ps.py:47)"),
)
