"""Python code that a framework calls back waits for a lock, and the thread that runs the step holds it; or for room in
a queue that only that thread empties.

What carries the cause: a py_function, generator or hook waits without a timeout, a thread of the same process waits for
a step or a batch, and no other Python thread is there that could hold the lock, or take from the queue.
"""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.analyze.facts import Facts
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import INSIDE, At, is_python, look_at_stillness, may_be_stuck, threads_at
from diagnostics.model import Process, Role, WaitKind


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process) for process in facts.processes if may_be_stuck(process))


def _examine_process(process: Process) -> Case | None:
    threads = threads_at(process)
    called = [at for at in threads if at.position.has(Role.CALLBACK) and at.forever and (_locked(at) or _full(at))]
    callers = [at for at in threads if at.position.has(Role.INPUT_NEXT, Role.STEP, Role.DEVICE) and at not in called]
    if not called or not callers:
        return None
    case = Case("callback-deadlock")
    where = [process.rank]
    what = "a lock" if _locked(called[0]) else "room in a queue"
    if _full(called[0]):
        case.title = f"Python code inside of a step puts into a full queue: {called[0].where}"
    said = f"Python code that the step calls waits for {what} without a timeout: {called[0].where}"
    case.saw("callback-waits-for-lock", said, "stacks", where)
    case.saw("caller-waits", f"the caller waits for it to end: {callers[0].where}", "stacks", where)
    _look_at_others(case, [at for at in threads if at not in (*called, *callers)], where)
    look_at_stillness(case, process, called[:1])
    return case


def _locked(at: At) -> bool:
    return at.position.waits is WaitKind.LOCK


def _full(at: At) -> bool:
    return at.position.waits is WaitKind.CONDITION and at.position.has(Role.QUEUE_PUT)


def _look_at_others(case: Case, others: Sequence[At], where: list[str]) -> None:
    able = [at for at in others if is_python(at) and at.position.waits not in INSIDE and not at.reports]
    if able:
        case.saw("other-thread", f"another Python thread may end that: {able[0].where}", "stacks", where)
    else:
        said = "no other Python thread is at work that could end that"
        case.saw("no-other-thread", said, "stacks", where)


CAUSE = Cause(
    id="callback-deadlock",
    family="callback-deadlock",
    title="Python code inside of a step waits for a lock that the step's caller holds",
    examine=examine,
    not_to_be_confused_with=(
        "A py_function that waits for a file or a server is a stalled input. Several threads that wait for each "
        "other's locks, with no framework between them, are `lock-order`."
    ),
    versions="tf.py_function, tf.numpy_function and Dataset.from_generator of any release",
    remedies=(
        Remedy(
            "release-before-step",
            "Let go of the lock before the next batch or step is asked for: copy what is needed, then call",
        ),
        Remedy(
            "queue-without-limit",
            "Let a callback put without waiting (a queue without a limit, put_nowait), or a thread of its own take",
            only="python",
            at=("Queue.put",),
        ),
        Remedy(
            "no-locks-in-callback",
            "Or keep locks out of py_function: return the values, and count them in the training loop",
            only="tensorflow",
        ),
        Remedy(
            "release-gil",
            "A py_function needs the interpreter lock as well: native callers have to release it before they wait",
            only="tensorflow",
        ),
    ),
    references=(
        "https://www.tensorflow.org/api_docs/python/tf/py_function",
        "https://docs.python.org/3/library/threading.html#lock-objects",
    ),
    scenario="py-function-deadlock",
    search_for=(
        "    count (train.py:22)",
        "    _call (tensorflow/python/ops/script_ops.py)",
        "    __call__ (tensorflow/python/ops/script_ops.py)",
        "    __next__ (tensorflow/python/data/ops/iterator_ops.py)",
    ),
)
