"""A parent joins a child that cannot end before somebody takes what it has put into a queue.

A process that has put items into a queue of multiprocessing waits at its end until its feeder thread has written
all of them into the pipe, which holds 64 KiB. What carries the cause: the parent waits for the child's end, and the
child is on its way out with a thread that writes into a full pipe. Where the parent was not looked at, that thread
alone carries it, and who has the pipe's other end is told.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import At, children_of, look_at_stillness, main_at, may_be_stuck, threads_at
from diagnostics.causes.pipes import other_ends, writes_to_pipe
from diagnostics.model import Process, Role, WaitKind
from diagnostics.stacks.position import pairs


def examine(facts: Facts) -> Case | None:
    seen = {(process.host, process.pid) for process in facts.processes}
    pairs_seen = ((p, child) for p in facts.processes if may_be_stuck(p) for child in children_of(p, facts))
    alone = (p for p in facts.processes if may_be_stuck(p) and p.parent > 0 and (p.host, p.parent) not in seen)
    return likeliest([*(_examine_pair(*pair) for pair in pairs_seen), *map(_examine_alone, alone)])


def _examine_pair(parent: Process, child: Process) -> Case | None:
    joining = [at for at in threads_at(parent) if at.position.waits is WaitKind.CHILD and at.forever]
    main = main_at(child)
    if not joining or main is None or not main.position.has(Role.TEARDOWN):
        return None
    case = Case("queue-not-drained")
    case.saw("parent-joins", f"{parent.rank} waits for a child's end: {joining[0].where}", "stacks", [parent.rank])
    said = f"that child is on its way out, and waits for a thread of its own: {main.where}"
    case.saw("child-leaves", said, "stacks", [child.rank])
    if _feeders(child):
        case.saw("feeder-writes", "a thread of it writes into a pipe that is full", "kernel, stacks", [child.rank])
    else:
        case.needs("whether a thread of the child waits in write(): the child's native stacks, or its /proc/PID/wchan")
    look_at_stillness(case, child, [main])
    return case


def _examine_alone(child: Process) -> Case | None:
    """A child whose parent was not looked at: only what it has put into a pipe, and nobody takes, tells of that one."""
    main, feeders = main_at(child), _feeders(child)
    if main is None or main.position.waits is not WaitKind.JOIN or not main.position.has(Role.TEARDOWN) or not feeders:
        return None
    if child.parent not in other_ends(feeders[0])[1]:
        return None
    case = Case("queue-not-drained")
    case.title = (
        f"{child.rank} waits at its end until somebody takes what it has put into a queue: process {child.parent}, its "
        "parent, has the pipe's other end, and was not looked at"
    )
    said = f"is on its way out, and waits for a thread of its own: {main.where}"
    case.saw("child-leaves", said, "stacks", [child.rank])
    case.saw("feeder-writes", "that thread writes into a pipe that is full", "kernel, stacks", [child.rank])
    case.needs(f"where process {child.parent} stands, which is to read: lastbatch attach {child.parent}")
    look_at_stillness(case, child, [main])
    return case


def _feeders(child: Process) -> list[At]:
    found = (At(child, thread, position) for thread, position in pairs(child))
    return [at for at in found if writes_to_pipe(at)]


CAUSE = Cause(
    id="queue-not-drained",
    family="pipe-full",
    title="A parent joins a child that waits for somebody to take what it has put into a queue",
    examine=examine,
    not_to_be_confused_with=(
        "A child that is still at work, and is not on its way out, only takes long. A pipe of the child's output that "
        "nobody reads is `subprocess-pipe-full`."
    ),
    versions="multiprocessing.Queue and JoinableQueue of any CPython release",
    remedies=(
        Remedy("drain-then-join", "Take all items from the queue before join()"),
        Remedy("cancel-join-thread", "Or give them up: queue.cancel_join_thread() in the child"),
        Remedy("use-manager", "Or use a queue of multiprocessing.Manager(), which needs no feeder thread"),
    ),
    references=("https://docs.python.org/3/library/multiprocessing.html#joining-processes-that-use-queues",),
    search_for=(
        "    join (multiprocessing/process.py:149)",
        "    _finalize_join (multiprocessing/queues.py:213)",
        "    _exit_function (multiprocessing/util.py:360)",
        "    _feed (multiprocessing/queues.py:259)",
    ),
)
