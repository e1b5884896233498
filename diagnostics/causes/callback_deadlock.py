"""Python code that a framework calls back waits for a lock, and the thread that runs the step holds it.

What carries the cause: a py_function or generator waits for a lock without a timeout, a thread of the same process
waits for a step or a batch, and no other Python thread is there that could hold the lock.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts, evidence
from diagnostics.analyze.pipelines import asks_for_input, called_back
from diagnostics.analyze.thread_waits import For, ThreadWait, stood_still, waits_of
from diagnostics.causes import Case, Cause, likeliest
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
    case = Case(prior=-1.5)
    where = [process.rank]
    said = f"Python code that the step calls waits for a lock without a timeout: {called[0].at}"
    case.supports(1.0, evidence(said, "stacks", where))
    case.supports(0.5, evidence(f"the caller waits for it to end: {callers[0].at}", "stacks", where))
    _look_at_others(case, [wait for wait in waits if wait not in (*called, *callers)], where)
    if stood_still(process, called[0].thread.tid):
        case.supports(0.5, evidence("it was not scheduled between two looks", "two looks", where))
    elif process.samples:
        case.speaks_against(1.5, evidence("it ran between two looks", "two looks", where))
    else:
        case.lacks("a second look: attach to the process, or take the dump again after a minute")
    return case


def _look_at_others(case: Case, others: list[ThreadWait], where: list[str]) -> None:
    able = [wait for wait in others if any(not frame.native for frame in wait.thread.frames)]
    able = [wait for wait in able if wait.waits not in (For.NOTIFY, For.JOIN)]
    if able:
        said = f"another Python thread may hold the lock: {able[0].at}"
        case.speaks_against(1.0, evidence(said, "stacks", where))
    else:
        said = "no other Python thread is at work that could hold the lock"
        case.supports(1.0, evidence(said, "stacks", where))


CAUSE = Cause(
    id="callback-deadlock",
    family="callback-deadlock",
    title="Python code inside of a step waits for a lock that the step's caller holds",
    examine=examine,
    not_to_be_taken_for=(
        "A py_function that waits for a file or a server is a stalled input. Several threads that wait for each "
        "other's locks, with no framework between them, are `lock-order`."
    ),
    versions="tf.py_function, tf.numpy_function and Dataset.from_generator of any release",
    remedy=(
        "Let go of the lock before the next batch or step is asked for: copy what is needed, then call",
        "Or keep locks out of py_function: return the values, and count them in the training loop",
        "A py_function needs the interpreter lock as well: native callers have to release it before they wait",
    ),
    references=(
        "https://www.tensorflow.org/api_docs/python/tf/py_function",
        "https://docs.python.org/3/library/threading.html#lock-objects",
    ),
    scenario="py-function-deadlock",
    looks_like=(
        "    count (train.py:22)",
        "    _call (tensorflow/python/ops/script_ops.py)",
        "    __call__ (tensorflow/python/ops/script_ops.py)",
        "    __next__ (tensorflow/python/data/ops/iterator_ops.py)",
    ),
)
