"""A process of the program waits for another one, which stands somewhere else, for a reason that is not known.

This is where to look, not why: as `rank-elsewhere`, of processes that meet in no collective. What carries the cause:
one waits for the other's end, answer, notification or lock, and that one waits for nobody of the job.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.analyze.family import serves
from diagnostics.analyze.wait_graph import rank_in
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import OUTSIDE, main_at, may_be_stuck
from diagnostics.model import Process, State, Wait, WaitKind

_OF_ANOTHER = (
    WaitKind.CHILD, WaitKind.PIPE, WaitKind.SOCKET, WaitKind.LOCK, WaitKind.INPUT, WaitKind.CONDITION,
)  # fmt: skip
_OF_ITS_OWN = (*OUTSIDE, WaitKind.TIME, WaitKind.LOCK)


def examine(facts: Facts) -> Case | None:
    known = {process.rank: process for process in facts.processes}
    waiting = {rank_in(wait.rank) for wait in facts.waits}
    ends = [wait for wait in facts.waits if wait.kind in _OF_ANOTHER and wait.on in known and wait.on not in waiting]
    return likeliest(
        _examine_pair(known[rank_in(wait.rank)], known[wait.on], wait) for wait in ends if rank_in(wait.rank) in known
    )


def _examine_pair(waiter: Process, other: Process, wait: Wait) -> Case | None:
    main = main_at(other) if waiter.state is State.HUNG and may_be_stuck(other) and not serves(other) else None
    if main is None or not main.position.own:
        return None
    case = Case("process-elsewhere")
    case.title = f"{waiter.rank} waits for {other.rank}, which stands somewhere else: {main.where}"
    case.saw("waits", f"waits for {other.rank}: {wait.why}", "stacks, kernel", [waiter.rank])
    waits = main.position.waits_for or main.position.waits.words
    case.saw("elsewhere", f"it stands in {main.where}, and waits for {waits}", "stacks", [other.rank])
    if main.position.waits in _OF_ITS_OWN:
        case.saw("waits-itself", "it waits for something of its own", "stacks", [other.rank])
    case.saw("hung", waiter.state_why or "it hangs", "samples", [waiter.rank])
    return case


CAUSE = Cause(
    id="process-elsewhere",
    family="rank-elsewhere",
    title="A process waits for another one of the program, which stands somewhere else",
    examine=examine,
    not_to_be_confused_with=(
        "A process that computes, reads or writes for long is elsewhere for a while, and answers. Where the reason is "
        "known (a lock, a full pipe, a dead helper), that is the cause, and this its effect."
    ),
    versions="any",
    remedies=(
        Remedy(
            "look-at-process",
            "Look at the process that is waited for: what it waits for, at the place that is named, is to be mended",
        ),
        Remedy("limit-the-wait", "Give the wait a limit, and raise when it passes: join(timeout), settimeout, poll"),
    ),
    references=("https://docs.python.org/3/library/multiprocessing.html#programming-guidelines",),
    search_for=("    wait (multiprocessing/popen_fork.py:43)", "    join (multiprocessing/process.py:149)"),
)
