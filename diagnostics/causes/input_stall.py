"""A step waits for its next batch, and what is to bring it waits itself, for something that does not come.

A slow source looks the same in one look. What carries the cause is who could still bring the batch: nobody, if a
generator waits for a notification and no other Python thread is there to send one, or if the kernel waits in open()
for another end. Else it takes the rank's own history: silent for longer than that allows, with nothing moving.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.analyze.pipelines import asks_for_input, brings_input, called_back
from diagnostics.analyze.thread_waits import For, ThreadWait, stood_still, wait_of
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.model import Process, State

_OPENING = ("wait_for_partner", "fifo_open")  # kernel functions: open() of a FIFO that has no other end
_FOR_OTHERS = (For.NOTIFY, For.WORLD, For.CHILD, For.JOIN)


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process) for process in facts.processes)


def _examine_process(process: Process) -> Case | None:
    if process.state in (State.PROGRESSING, State.FINISHED):
        return None
    asking = [thread for thread in process.threads if asks_for_input(thread)]
    stuck = [wait for thread in process.threads if brings_input(thread) and _waits_for_others(wait := wait_of(thread))]
    if not asking or not stuck:
        return None
    case = Case("input-stall")
    where = [process.rank]
    case.saw("asks", "a step waits for the next batch of its Dataset", "stacks", where)
    source = max(stuck, key=lambda wait: called_back(wait.thread))
    _look_at_source(case, process, source)
    if stood_still(process, source.thread.tid):
        case.saw("not-scheduled", "it was not scheduled between two looks", "two samples", where)
    if process.state is State.HUNG:
        case.saw("hung", "the rank is silent for longer than its history allows", "recorder", where)
    else:
        case.needs("how long it has waited: attach once more in a minute, or run with the flight recorder")
    return case


def _waits_for_others(wait: ThreadWait) -> bool:
    """Python code waits for what its stack says; a Dataset's native thread only for a file counts."""
    return wait.waits in (_FOR_OTHERS if called_back(wait.thread) else (For.WORLD,)) and not wait.limited


def _look_at_source(case: Case, process: Process, source: ThreadWait) -> None:
    where = [process.rank]
    if called_back(source.thread):
        said = f"the generator that is to bring it waits for {source.waits.value}: {source.at}"
    else:
        said = f"a thread that is to bring it waits for a file: {source.at}"
    case.saw("source-waits", said, "stacks", where)
    if call := _opens(process, source.thread.tid):
        case.saw("opens", f"it waits in open() for another end, at both looks ({call})", "wchan", where)
    elif source.waits in (For.NOTIFY, For.JOIN):
        others = [thread for thread in process.threads if thread is not source.thread and not asks_for_input(thread)]
        python = [wait_of(thread) for thread in others if any(not frame.native for frame in thread.frames)]
        if python:
            said = f"another thread may still send it: {python[0].at}"
            case.saw("other-thread", said, "stacks", where)
        else:
            said = "no other Python thread is there that could send it"
            case.saw("no-other-thread", said, "stacks", where)


def _opens(process: Process, tid: int) -> str:
    calls = {thread.wchan for sample in process.samples for thread in sample.threads if thread.tid == tid}
    return next(iter(calls)) if len(process.samples) > 1 and len(calls) == 1 and calls <= set(_OPENING) else ""


CAUSE = Cause(
    id="input-stall",
    family="input-stall",
    title="A step waits for its next batch, and what is to bring it waits for something that does not come",
    examine=examine,
    not_to_be_confused_with=(
        "A slow source looks the same, and brings the batch in the end. A generator that waits for a lock which the "
        "trainer holds is a deadlock of the two."
    ),
    versions="tf.data of any release: from_generator, interleave, py_function; TensorFlow 2 as seen here",
    remedies=(
        Remedy(
            "pass-end-on",
            "Let the thread that reads ahead pass its end on: put the exception, or a last mark, into the queue",
        ),
        Remedy(
            "timeout-in-source",
            "Give every wait of a generator a timeout, and raise when it passes: the step then ends with that error",
        ),
        Remedy(
            "look-at-source",
            "Look at the file or server that the report names; copy the input to a local disk before training",
        ),
    ),
    references=(
        "https://www.tensorflow.org/api_docs/python/tf/data/Dataset#from_generator",
        "https://www.tensorflow.org/guide/data_performance",
    ),
    scenario="from-generator-stall",
    search_for=(
        "    get (queue.py:171)",
        "    rows (train.py:47)",
        "    generator_py_func (tensorflow/python/data/ops/from_generator_op.py)",
        "    __call__ (tensorflow/python/ops/script_ops.py)",
    ),
)
