"""Python code that a framework calls back waits for a lock, and the thread that runs the step holds it.

What carries the cause: a py_function or generator waits for a lock without a timeout, a thread of the same process
waits for a step or a batch, and no other Python thread is there that could hold the lock.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.analyze.pipelines import asks_for_input, called_back
from diagnostics.analyze.thread_waits import For, ThreadWait, stood_still, waits_of
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.model import Process, State


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process) for process in facts.processes)


def _examine_process(process: Process) -> Case | None:
    if process.state in (State.PROGRESSING, State.FINISHED):
        return None
    waits = waits_of(process)
    called = [wait for wait in waits if called_back(wait.thread) and wait.waits is For.LOCK and not wait.limited]
    callers = [wait for wait in waits if asks_for_input(wait.thread) and wait not in called]
    if not called or not callers:
        return None
    case = Case("callback-deadlock")
    where = [process.rank]
    said = f"Python code that the step calls waits for a lock without a timeout: {called[0].at}"
    case.saw("callback-waits-for-lock", said, "stacks", where)
    case.saw("caller-waits", f"the caller waits for it to end: {callers[0].at}", "stacks", where)
    _look_at_others(case, [wait for wait in waits if wait not in (*called, *callers)], where)
    if stood_still(process, called[0].thread.tid):
        case.saw("not-scheduled", "it was not scheduled between two looks", "two samples", where)
    elif process.samples:
        case.saw("ran", "it ran between two looks", "two samples", where)
    else:
        case.needs("a second look: attach to the process, or take the dump again after a minute")
    return case


def _look_at_others(case: Case, others: list[ThreadWait], where: list[str]) -> None:
    able = [wait for wait in others if any(not frame.native for frame in wait.thread.frames)]
    able = [wait for wait in able if wait.waits not in (For.NOTIFY, For.JOIN)]
    if able:
        said = f"another Python thread may hold the lock: {able[0].at}"
        case.saw("other-thread", said, "stacks", where)
    else:
        said = "no other Python thread is at work that could hold the lock"
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
            "no-locks-in-callback",
            "Or keep locks out of py_function: return the values, and count them in the training loop",
        ),
        Remedy(
            "release-gil",
            "A py_function needs the interpreter lock as well: native callers have to release it before they wait",
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
