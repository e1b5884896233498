"""A step puts into a queue that is full, and nobody takes from it.

A thread that feeds a queue waits in its step once the queue is full. What carries the cause: only feeding threads
wait in steps, and the thread that should take waits for one of them to end.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import INSIDE, look_at_stillness, main_at, may_be_stuck, threads_at
from diagnostics.model import Process, Role


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process, facts) for process in facts.processes if may_be_stuck(process))


def _examine_process(process: Process, facts: Facts) -> Case | None:
    main = main_at(process)
    threads = threads_at(process)
    tid = process.pid
    first = next((at for at in threads if at.thread.tid == tid or at.thread.name == "MainThread"), None)
    feeding = [at for at in threads if at.position.has(Role.STEP) and at is not first]
    if main is None or first is None or not feeding or first.position.has(Role.STEP):
        return None
    if first.position.waits not in INSIDE:
        return None
    case = Case("tf-queue-full")
    where = [process.rank]
    case.saw("feeder-waits", f"a thread that is not the main one waits in a step: {feeding[0].where}", "stacks", where)
    said = f"the main thread waits for {first.position.waits.words}, and takes no step: {first.where}"
    case.saw("main-joins", said, "stacks", where)
    if any(at.position.has(Role.OPERATION) for at in threads):
        case.saw("inside-operation", "a thread is inside an operation", "stacks", where)
    _look_at_servers(case, process, facts)
    if any(at.position.has(Role.INPUT_MAKE) for at in feeding):
        case.saw("runner", "it is a queue runner's thread", "stacks", where)
    look_at_stillness(case, process, feeding)
    case.needs("which operation that thread runs: an enqueue waits for room, a dequeue for items")
    return case


def _look_at_servers(case: Case, process: Process, facts: Facts) -> None:
    """A step on servers may wait for any of them; of one that is gone it is not the queue that has no room."""
    if gone := [one.rank for one in facts.lost] + [other.rank for other in facts.gone]:
        case.saw("server-gone", "a rank is gone, for which the step may wait as well", "processes", gone)
    elif any(connection.peer and connection.peer != process.rank for connection in process.connections):
        case.saw("on-servers", "its step runs on other ranks, too, and may wait for these", "connections")


CAUSE = Cause(
    id="tf-queue-full",
    only="tensorflow",
    family="queue-full",
    title="A step puts into a queue that is full, and nobody takes from it",
    examine=examine,
    not_to_be_confused_with=(
        "A main thread that itself waits in a step takes from a queue that is empty: `tf-queue-not-started`. A step of "
        "another thread may also be a dequeue; the program's code tells."
    ),
    versions="TensorFlow 1, and tf.compat.v1 in 2",
    remedies=(
        Remedy("take-items", "Let something take from the queue while it is fed, or feed no more than it holds"),
        Remedy(
            "close-queue",
            "Before the feeder is joined: coordinator.request_stop(), queue.close(cancel_pending_enqueues=True)",
        ),
        Remedy("enqueue-timeout", "Give the enqueue's step a limit: RunOptions(timeout_in_ms=...)"),
    ),
    references=("https://www.tensorflow.org/versions/r1.15/api_docs/python/tf/FIFOQueue#close",),
    search_for=(
        "    join (threading.py:1056)",
        "    _call_tf_sessionrun (tensorflow/python/client/session.py:1407)",
        "    feed (train.py:21)",
    ),
)
