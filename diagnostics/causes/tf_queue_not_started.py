"""A step waits on a queue that nobody fills, because its queue runners were never started, or have ended.

TensorFlow's queue operations wait without a thread: the step's caller waits for a notification, and no thread of
the process is inside an operation. Only a reader that waits for a file name keeps a thread. In a program that feeds
its queues, threads run queue runners. What carries the cause: a step waits, nothing runs, there is no such thread,
and no other worker that could be waited for.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts, names
from diagnostics.analyze.progress import is_server
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.feeder import exception_told
from diagnostics.causes.observe import At, look_at_stillness, main_at, may_be_stuck, peers, threads_at
from diagnostics.model import Process, Role, State
from diagnostics.redact import redact_text
from diagnostics.stacks.position import is_idle, pairs, threads_with

_READER = "Reader.read"


def examine(facts: Facts) -> Case | None:
    others = [process for process in facts.processes if not is_server(process.rank)]  # a rank's child makes steps, too
    return likeliest(_examine_process(process, facts) for process in others if may_be_stuck(process))


def _examine_process(process: Process, facts: Facts) -> Case | None:
    threads = threads_at(process)
    runners = [at for at in threads if is_runner(at)]
    stepping = [at for at in threads if at.position.has(Role.STEP) and at not in runners]
    main = main_at(process)
    if not stepping or main is None or main not in stepping:
        return None
    case = Case("tf-queue-not-started")
    where = [process.rank]
    case.saw("waits", f"a step waits to be notified of its end: {stepping[0].where}", "stacks", where)
    _look_at_ranks(case, process, facts, stepping[0])
    others = [at for at in threads if at not in stepping]
    if readers := [at for at in others if at.position.operation == _READER]:
        case.saw("reader-waits", "a reader waits for the queue of file names to give it one", "stacks", where)
        others = [at for at in others if at not in readers]
    if working := [at for at in others if at.position.has(Role.OPERATION, Role.CALLBACK)]:
        case.saw("inside-operation", f"a thread is inside an operation: {working[0].where}", "stacks", where)
    elif not _shows_pool(process) or not any(f.native for thread in process.threads for f in thread.frames):
        case.needs("native stacks of all threads, to see whether one is inside an operation")
    else:
        case.saw("no-operation", "no thread is inside an operation: the step waits without one", "stacks", where)
    if runners:
        case.saw("runner", "a queue runner's thread is there", "stacks", where)
    elif any(position.has(Role.INPUT_MAKE) for _, position in threads_with(process, Role.INPUT_MAKE, idle=True)):
        case.saw("dataset", "a Dataset's thread is there: its input is no queue", "stacks", where)
    elif _shows_pool(process):
        case.saw("no-runner", "no thread runs a queue runner or a Dataset", "stacks", where)
    if told := exception_told(process):
        said = f"its queue was filled before: steps were made, or a thread failed: {redact_text(told)}"
        case.saw("fed-before", said, "log", where)
    if process.feeds_itself:
        said = "its source has no queue runners: it fills queues by threads of its own"
        case.saw("feeds-itself", said, "source", where)
    look_at_stillness(case, process, stepping)
    case.needs("which operation is pending: look in the graph for a dequeue, an enqueue or a read that the step needs")
    return case


def _shows_pool(process: Process) -> bool:
    """Whether all threads are known. A dump that shows none of TensorFlow's idle ones has left some out."""
    return bool(process.samples) or any(is_idle(position) for _, position in pairs(process))


def is_runner(at: At) -> bool:
    return at.position.has(Role.INPUT_MAKE) and at.position.has(Role.STEP)


def _look_at_ranks(case: Case, process: Process, facts: Facts, step: At) -> None:
    """A step in the process's own session has nobody else to wait for; one on servers may have."""
    if step.position.operation != "RunStep":
        return
    workers = [other for other in peers(facts) if other is not process and not is_server(other.rank)]
    gone = [other for other in facts.gone if other is not process]
    if workers:
        case.saw("other-workers", "other workers take part, for which it may wait", "processes", names(workers))
    elif len(facts.processes) == 1:
        case.saw("server-unseen", "no server was looked at", "coverage", [process.rank])
    elif gone or facts.missing_ranks:
        case.saw(
            "server-gone", "a rank is gone, or was not looked at", "processes", [*names(gone), *facts.missing_ranks]
        )
    elif any(server.state in (State.HUNG, State.PROGRESSING) for server in facts.servers):
        case.saw("server-busy", "a server is at work, or stands still itself", "samples", names(facts.servers))
    case.saw("on-servers", "the step is one on servers, which wait for more than queues", "stacks", [process.rank])
    if len(facts.servers) > 1:
        case.saw("several-servers", "of several servers one may wait for another", "roles", names(facts.servers))
    if process.flight:
        case.saw("recorded", "its recorder tells more of the step", "recorder", [process.rank])


CAUSE = Cause(
    id="tf-queue-not-started",
    only="tensorflow",
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
        Remedy(
            "look-at-feeder",
            "Where a thread of your own feeds the queue: see why it ended, its exception is printed and then forgotten",
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
