"""A thread waits at a queue of its own process, and no thread is left on the other side of it.

Whoever was to put has ended, mostly by an exception that nobody saw; or whoever was to take has, and the queue is
full. What carries the cause: the wait has no limit, and no other thread is there but those that wait themselves or go
round by the clock, as a heartbeat does.
"""

from __future__ import annotations

from collections.abc import Callable

from diagnostics.analyze.clocks import goes_round
from diagnostics.analyze.facts import Facts
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import At, look_at_stillness, may_be_stuck, nobody_comes, threads_at
from diagnostics.model import Process, Role, State, WaitKind

_NOT_THESE = (
    Role.COLLECTIVE, Role.RENDEZVOUS, Role.STEP, Role.SERVE, Role.INPUT_NEXT, Role.EVENT_LOOP, Role.TEARDOWN,
    Role.SHARED,
)  # fmt: skip


_OTHERS = (Role.QUEUE_PUT, *_NOT_THESE)


def examine_get(facts: Facts) -> Case | None:
    return _examine(facts, _nobody_puts)


def examine_put(facts: Facts) -> Case | None:
    return _examine(facts, _nobody_takes)


def _examine(facts: Facts, examine: Callable[[Process], Case | None]) -> Case | None:
    return likeliest(examine(process) for process in facts.processes if may_be_stuck(process))


def _nobody_puts(process: Process) -> Case | None:
    threads = threads_at(process)
    taking = _stands_at(threads, Role.QUEUE_GET)
    clocks = [at for at in threads if goes_round(at.process, at.position)]
    called_back = any(at.position.has(Role.CALLBACK) for at in taking)
    if not taking or not (clocks or called_back) or any(at.position.has(*_OTHERS) for at in threads):
        return None  # a program of its own, without a clock beside it, is for `condition-lost-wakeup`
    behind = [at for at in threads if called_back and at.position.waits is WaitKind.DEVICE]
    if process.state is not State.HUNG or not nobody_comes(process, [*taking, *behind], python=True):
        return None
    case = Case("queue-nobody-puts")
    where = [process.rank]
    case.title = f"{process.rank} takes from an empty queue, and no thread is about to put into it: {taking[0].where}"
    case.saw("waits", f"waits for an item of a queue, without a timeout: {taking[0].where}", "stacks", where)
    beside = f", and one that works by the clock: {clocks[0].where}" if clocks else ""
    said = f"no other thread is there but such that wait{beside}"
    case.saw("nobody-puts", said, "stacks, samples", where)
    look_at_stillness(case, process, taking)
    return case


def _nobody_takes(process: Process) -> Case | None:
    threads = threads_at(process)
    putting = _stands_at(threads, Role.QUEUE_PUT)
    if not putting or any(at.position.has(Role.QUEUE_GET, *_NOT_THESE) for at in threads):
        return None
    if process.state is not State.HUNG or not nobody_comes(process, putting, python=True):
        return None
    case = Case("queue-nobody-takes")
    where = [process.rank]
    case.title = f"{process.rank} puts into a full queue, and no thread takes from it: {putting[0].where}"
    case.saw("waits", f"waits for room in a queue that is full, without a timeout: {putting[0].where}", "stacks", where)
    case.saw("nobody-takes", "no other thread is there that takes from a queue", "stacks, samples", where)
    look_at_stillness(case, process, putting)
    return case


def _stands_at(threads: tuple[At, ...], role: Role) -> list[At]:
    """A pool's task at a queue waits for other tasks: for these there are other causes."""
    return [
        at
        for at in threads
        if at.position.has(role) and at.position.waits is WaitKind.CONDITION and at.forever and at.position.own
        and not at.position.has(Role.POOL_TASK)
    ]  # fmt: skip


_VERSIONS = "queue.Queue of any Python"
_REFERENCES = ("https://docs.python.org/3/library/queue.html", "https://docs.python.org/3/library/threading.html")

CAUSES = (
    Cause(
        id="queue-nobody-puts",
        family="input-stall",
        title="A thread takes from an empty queue, and no thread is about to put into it",
        examine=examine_get,
        not_to_be_confused_with=(
            "A thread that reads a file, a socket or a pipe may still put into the queue. One that polls by the clock "
            "for something outside may as well, once that comes."
        ),
        versions=_VERSIONS,
        remedies=(
            Remedy("see-who-ended", "See in the log whether the thread that fills the queue ended with an exception"),
            Remedy("pass-failure-on", "Let it put its exception, or a last mark, into the queue before it ends"),
            Remedy("take-with-limit", "Take with a limit, and look whether the producer lives: get(timeout), is_alive"),
        ),
        references=_REFERENCES,
        search_for=("    get (queue.py:171)", "    __next__ (train.py:26)", 'Thread 4712 (idle): "heartbeat"'),
    ),
    Cause(
        id="queue-nobody-takes",
        family="queue-full",
        title="A thread puts into a full queue, and no thread takes from it",
        examine=examine_put,
        not_to_be_confused_with="A consumer that is there and slow, or stuck itself: then look at where it stands.",
        versions=_VERSIONS,
        remedies=(
            Remedy("see-who-ended", "See in the log whether the thread that takes from the queue ended by an error"),
            Remedy("put-with-limit", "Put with a limit, and look whether the consumer lives: put(timeout), is_alive"),
        ),
        references=_REFERENCES,
        search_for=("    put (queue.py:140)", "    tap (run.py:9)"),
    ),
)
