"""A step waits for its next batch, and what is to bring it waits itself, for something that does not come.

Whoever makes the batch is a generator or a thread of the same process; for a loader's worker there is
`dataloader-worker-stuck`. A slow source looks the same in one sample. What carries the cause is who could still bring
the batch: nobody, if the source waits for a notification and no other thread is there to send one, or if the kernel
waits in open() for another end. Else it takes the rank's own history: silent for longer than that allows, with nothing
moving.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.analyze.family import how_it_ended
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.feeder import exception_told
from diagnostics.causes.observe import (
    INSIDE,
    OUTSIDE,
    At,
    call_of,
    children_of,
    is_python,
    look_at_stillness,
    main_at,
    may_be_stuck,
    reads_silent_file,
    threads_at,
)
from diagnostics.model import Process, Role, WaitKind
from diagnostics.redact import redact_text

_OWN_STEP = "Session.run"
_FOR_OTHERS = (*INSIDE, *OUTSIDE)


def examine(facts: Facts) -> Case | None:
    stuck = [process for process in facts.processes if may_be_stuck(process)]
    return likeliest([*(_examine_process(process, facts) for process in stuck), *map(_examine_fed, stuck)])


def _examine_fed(process: Process) -> Case | None:
    """A step of the process's own session waits, nothing runs in it, and what fed it has failed, as the log tells; or
    threads of the program's own feed it, as its source tells, and none of them is there."""
    threads, main = threads_at(process), main_at(process)
    told = exception_told(process)
    if not (told or process.feeds_itself) or main is None:
        return None
    if not main.position.has(Role.STEP) or main.position.operation != _OWN_STEP:
        return None
    others = [at for at in threads if at.thread is not main.thread]
    if any(at.position.has(Role.INPUT_MAKE, Role.OPERATION, Role.CALLBACK) for at in others):
        return None
    if not told and any(at.position.has(Role.STEP) for at in others):
        return None  # it may be the one that feeds
    case = Case("input-stall")
    where = [process.rank]
    case.saw("asks", f"a step waits to be notified of its end: {main.where}", "stacks", where)
    if told:
        case.title = "A step waits for its input, and what brought it has failed, as the log tells"
        case.saw("feeder-failed", f"nothing else runs, and the last of its log has {redact_text(told)}", "log", where)
    else:
        case.title = "A step waits on a queue that a thread of the program's own fills, and no such thread is there"
        said = "by its source it fills a queue by a thread, and none is in a step: it has ended, or never began"
        case.saw("feeder-gone", said, "source, stacks", where)
    if able := [at for at in others if _may_send(at)]:
        case.saw("other-thread", f"another thread may still bring it: {able[0].where}", "stacks", where)
    look_at_stillness(case, process, [main])
    return case


def _examine_process(process: Process, facts: Facts) -> Case | None:
    threads = threads_at(process)
    asking = [at for at in threads if at.position.has(Role.INPUT_NEXT)]
    if not asking:
        return _examine_pipe(process, threads)
    stuck = [at for at in threads if _makes(at) and waits_for_others(at)]
    if not stuck:
        return None
    source = max(stuck, key=lambda at: (at.position.own, at.position.has(Role.CALLBACK)))
    case = Case("input-stall")
    case.saw("asks", f"a step waits for its next batch: {asking[0].where}", "stacks", [process.rank])
    look_at_source(case, source, threads)
    if nobody_writes(source) and (ended := [child for child in children_of(process, facts) if child.exit_status]):
        said = f"{ended[0].rank}, which it started, {how_it_ended(ended[0])}: it may have been the one to write"
        case.saw("helper-ended", said, "exit status", [child.rank for child in ended])
    look_at_stillness(case, process, [source])
    return case


def _examine_pipe(process: Process, threads: tuple[At, ...]) -> Case | None:
    """Of a program that opens its input itself: a named pipe that it is to read from."""
    source = next((at for at in threads if at.position.tid == process.pid and _opens_to_read(at)), None)
    if source is None:
        return None
    case = Case("input-stall")
    case.title = f"{process.rank} opens a named pipe to read, and nobody opens it to write: {source.where}"
    look_at_source(case, source, threads)
    look_at_stillness(case, process, [source])
    return case


def _opens_to_read(at: At) -> bool:
    call = call_of(at.process, at.thread.tid)
    return call is not None and call.kind == "file" and call.what.endswith("(a named pipe, to read)") and opens(at)


def _makes(at: At) -> bool:
    return at.position.has(Role.INPUT_MAKE) or (
        at.position.has(Role.CALLBACK) and not at.position.has(Role.INPUT_NEXT, Role.STEP)
    )


def waits_for_others(at: At) -> bool:
    """Python code waits for what its stack says; a pipeline's native thread only for something outside counts."""
    waits = (*_FOR_OTHERS, WaitKind.TIME) if is_python(at) else OUTSIDE
    return (at.position.waits in waits or reads_silent_file(at)) and not at.position.limited


def look_at_source(case: Case, source: At, threads: tuple[At, ...]) -> None:
    process = source.process
    where = [process.rank]
    waits = source.position.waits_for or source.position.waits.words
    case.saw("source-waits", f"what is to bring it waits for {waits}: {source.where}", "stacks", where)
    if source.position.waits is WaitKind.TIME:
        case.saw("sleeps", "it only sleeps, and may go on by itself", "stacks", where)
    elif opens(source):
        case.saw("opens", "it waits in open() for another end, at every sample", "samples", where)
    elif nobody_writes(source):
        said = "no other process has the other end of that pipe open: nobody can write into it"
        case.saw("nobody-writes", said, "open files", where)
    elif source.position.waits in INSIDE:
        others = [at for at in threads if at is not source and _may_send(at)]
        if others and source.process is others[0].process:
            case.saw("other-thread", f"another thread may still send it: {others[0].where}", "stacks", where)
        else:
            case.saw("no-other-thread", "no other Python thread is there that could send it", "stacks", where)
    else:
        case.saw("outside", "that comes from outside of the job", "stacks", where)


def _may_send(at: At) -> bool:
    """A Python thread that does not itself wait for the batch or for another thread."""
    asks = at.position.has(Role.INPUT_NEXT) or at.position.waits in INSIDE
    return is_python(at) and not asks and not at.reports


def opens(at: At) -> bool:
    """Whether the kernel waits for another end of a FIFO at every sample."""
    calls = [{t.wchan for t in sample.threads if t.tid == at.thread.tid} for sample in at.process.samples]
    return len(calls) > 1 and all(call <= {"wait_for_partner", "fifo_open"} and call for call in calls)


def nobody_writes(at: At) -> bool:
    call = call_of(at.process, at.thread.tid)
    return bool(call and call.kind == "pipe" and call.others == (at.process.pid,))


CAUSE = Cause(
    id="input-stall",
    family="input-stall",
    title="A step waits for its next batch, and what is to bring it waits for something that does not come",
    examine=examine,
    not_to_be_confused_with=(
        "A slow source looks the same, and brings the batch in the end. A generator that waits for a lock which the "
        "trainer holds is a deadlock of the two."
    ),
    versions="tf.data of any release (from_generator, interleave, py_function), PyTorch's DataLoader, and others",
    remedies=(
        Remedy(
            "close-queue",
            "Let the thread that feeds close the queue at its end, in a finally: session.run(queue.close()). Steps "
            "then take what is left, and end with OutOfRangeError",
            only="tensorflow",
            seen="feeder-gone",
        ),
        Remedy(
            "open-both-ends",
            "See why nobody opens the pipe to write: start the writer first, or open it with os.O_NONBLOCK and give "
            "the wait for data a limit",
            seen="opens",
        ),
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
