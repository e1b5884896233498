"""A step waits on a queue that nobody fills, because its queue runners were never started, or have ended.

TensorFlow's queue operations wait without a thread: the step's caller waits for a notification, and no thread of the
process is inside an operation. Only a reader that waits for a file name keeps a thread in `GetNextWorkLocked`. In a
program that feeds its queues, Python threads run `QueueRunner._run`, or native ones `QueueRunner::Run`. What carries
the cause: a local session waits, nothing runs, and there is no such thread.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts, stack_has, stack_mentions
from diagnostics.analyze.thread_waits import short
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.model import Process, State, Thread

_LOCAL_STEP = ("DirectSession::WaitForNotification",)
_READER = ("ReaderBase::GetNextWorkLocked",)
_AT_WORK = ("::Compute", "ExecutorState::Process", "IteratorGetNext", "DatasetIterator", "ReaderRead", "PyFunc")
_NATIVE_RUNNER = ("QueueRunner::Run",)
_DATASETS = ("DatasetBaseIterator", "PrefetchDataset", "ParallelMapDataset", "IteratorResource")


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process) for process in facts.processes)


def _examine_process(process: Process) -> Case | None:
    if process.state in (State.PROGRESSING, State.FINISHED):
        return None
    stepping = [thread for thread in process.threads if stack_has(thread, _LOCAL_STEP)]
    if not stepping:
        return None
    case = Case("tf-queue-not-started")
    where = [process.rank]
    case.saw("waits", "a step in the process's own session waits to be notified of its end", "stacks", where)
    others = [thread for thread in process.threads if thread not in stepping]
    if readers := [thread for thread in others if stack_has(thread, _READER)]:
        said = "a reader waits for the queue of file names to give it one"
        case.saw("reader-waits", said, "stacks", where)
        others = [thread for thread in others if thread not in readers]
    if working := next((name for thread in others if (name := stack_mentions(thread, _AT_WORK))), ""):
        case.saw("inside-operation", f"a thread is inside an operation: {working}", "stacks", where)
    else:
        case.saw("no-operation", "no thread is inside an operation: the step waits without one", "stacks", where)
    if any(_is_runner(thread) for thread in others):
        case.saw("runner", "a queue runner's thread is there", "stacks", where)
    elif any(stack_mentions(thread, _DATASETS) for thread in others):
        case.saw("dataset", "a Dataset's thread is there: its input is no queue", "stacks", where)
    else:
        case.saw("no-runner", "no thread runs a queue runner or a Dataset", "stacks", where)
    if process.state is State.HUNG:
        case.saw("hung", "it is silent for longer than its history allows", "recorder", where)
    case.needs("which operation is pending: look in the graph for a dequeue or read that the step needs")
    return case


def _is_runner(thread: Thread) -> bool:
    python = any(
        not frame.native and short(frame) == "_run" and frame.file.endswith("queue_runner_impl.py")
        for frame in thread.frames
    )
    return python or stack_has(thread, _NATIVE_RUNNER)


CAUSE = Cause(
    id="tf-queue-not-started",
    family="queue-not-started",
    title="A step waits on a queue that nobody fills: its queue runners are not running",
    examine=examine,
    not_to_be_confused_with=(
        "A step may also wait, without a thread, on a staging area, a barrier or a collective. A queue whose runner is "
        "alive but slow is slow input."
    ),
    versions="TensorFlow 1, and tf.compat.v1 in 2; graphs exported with their input pipeline, wherever they are run",
    remedies=(
        Remedy(
            "start-runners",
            "Call tf.train.start_queue_runners(session, coordinator) after the session is made and the local "
            "variables are initialized; MonitoredTrainingSession does it by itself",
        ),
        Remedy(
            "every-session",
            "Do so for every new session: runners belong to the session that they were started with",
        ),
        Remedy(
            "feed-the-tensor",
            "To serve an exported graph, feed the tensor behind the queue, or export the graph without its input "
            "pipeline",
        ),
        Remedy("use-tf-data", "Or read by tf.data, which needs no runners"),
    ),
    references=(
        "https://www.tensorflow.org/versions/r1.15/api_docs/python/tf/train/start_queue_runners",
        "https://github.com/tensorflow/tensorflow/issues/4917",
    ),
    scenario="queue-runners-off",
    search_for=(
        "    nsync::nsync_cv_wait_with_deadline(...)",
        "    tensorflow::DirectSession::WaitForNotification(...)",
        "    tensorflow::DirectSession::RunInternal(...)",
        "    _call_tf_sessionrun (tensorflow/python/client/session.py:1407)",
    ),
)
