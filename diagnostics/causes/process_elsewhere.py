"""A process of the program waits for another one, which stands somewhere else, for a reason that is not known.

This is where to look, not why: as `rank-elsewhere`, of processes that meet in no collective. What carries the cause:
one waits for the other's end, answer, notification or lock, and that one waits for nobody of the job.
"""

from __future__ import annotations

from collections import Counter

from diagnostics.analyze.clocks import SOON
from diagnostics.analyze.facts import Facts
from diagnostics.analyze.family import serves
from diagnostics.analyze.wait_graph import rank_in, thread_in
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import OUTSIDE, At, call_of, main_at, may_be_stuck, threads_at
from diagnostics.causes.pipes import other_ends
from diagnostics.model import Position, Process, State, Wait, WaitKind
from diagnostics.stacks.position import pairs

_OF_ANOTHER = (
    WaitKind.CHILD, WaitKind.PIPE, WaitKind.SOCKET, WaitKind.LOCK, WaitKind.INPUT, WaitKind.CONDITION,
)  # fmt: skip
_OF_ITS_OWN = (*OUTSIDE, WaitKind.LOCK)
_AT_ONCE = 1.0
"""Seconds by which two that stand since the same event may differ."""


def examine(facts: Facts) -> Case | None:
    known = {process.rank: process for process in facts.processes}
    waiting = {wait.rank for wait in facts.waits}
    by_waiter = Counter(wait.rank for wait in facts.waits)
    ends = [wait for wait in facts.waits if wait.kind in _OF_ANOTHER and wait.on not in waiting]
    return likeliest(
        _examine_pair(known[rank_in(wait.rank)], known[rank_in(wait.on)], wait, by_waiter[wait.rank])
        for wait in ends
        if rank_in(wait.rank) in known and rank_in(wait.on) in known and rank_in(wait.on) != rank_in(wait.rank)
    )


def _examine_pair(waiter: Process, other: Process, wait: Wait, ends: int) -> Case | None:
    at = _stand_of(other, thread_in(wait.on)) if waiter.state is State.HUNG and may_be_stuck(other) else None
    fills = _fills(waiter, other)
    if at is None or not (at.position.own or fills):
        return None
    case = Case("process-elsewhere")
    case.title = f"{waiter.rank} waits for {other.rank}, which stands somewhere else: {at.where}"
    case.saw("waits", f"waits for {other.rank}: {wait.why}", "stacks, kernel", [waiter.rank])
    waits = at.position.waits_for or at.position.waits.words
    case.saw("elsewhere", f"it stands in {at.where}, and waits for {waits}", "stacks", [other.rank])
    if at.position.waits in _OF_ITS_OWN or _sleeps_long(at):
        case.saw("waits-itself", "it waits for something of its own", "stacks", [other.rank])
    elif at.position.waits is WaitKind.TIME:
        case.saw("sleeps", "it sleeps, and wakes by itself", "stacks", [other.rank])
    if fills:
        case.saw("unread", "the pipe that it alone is to read is full", "kernel, open files", [other.rank])
    if ends > 1:
        case.saw("one-of-several", f"one of {ends} that may end the wait", "kernel", [other.rank])
    _look_at_order(case, waiter, other, at.position)
    case.saw("hung", waiter.state_why or "it hangs", "samples", [waiter.rank])
    return case


def _sleeps_long(at: At) -> bool:
    call = call_of(at.process, at.thread.tid)
    return at.position.waits is WaitKind.TIME and call is not None and call.kind == "time" and call.ends_in > SOON


def _stand_of(other: Process, tid: int) -> At | None:
    if not tid:
        return None if serves(other) else main_at(other)
    return next((At(other, thread, one) for thread, one in pairs(other) if one.tid == tid), None)


def _look_at_order(case: Case, waiter: Process, other: Process, position: Position) -> None:
    """Who came to stand after the wait for it had begun has got on meanwhile, and may do so again."""
    since = position.since
    if waiter.since < 0 or since < 0:
        return
    if since >= waiter.since - _AT_ONCE:
        case.saw("stood-before", f"it has stood for as long: {since:.1f} s", "samples", [other.rank])
    elif not position.at_least:
        said = f"it has stood for {since:.1f} s alone, and the other has waited for {waiter.since:.1f} s"
        case.saw("came-later", said, "samples", [other.rank])


def _fills(waiter: Process, other: Process) -> bool:
    """Whether it writes into a full pipe that the other one alone is to read: then that it does not says enough."""
    return any(other_ends(at) == ("write", frozenset({other.pid})) for at in threads_at(waiter))


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
