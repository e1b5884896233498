"""Operations that wait inside their kernels hold all threads of the inter-op pool; what they wait for finds none.

Most operations of TensorFlow that wait do so without a thread. Some hold theirs: `Unstage` and `Stage` of a staging
area, Python functions, summaries to a slow disk. If what would let them go on is an operation too, of the same or of
another step, it needs a thread of the same pool. What carries the cause: several threads of the pool wait for a
notification inside an operation, none of the pool works, and another step has begun that no thread works on.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts, stack_has, stack_mentions
from diagnostics.analyze.tf_steps import REMOTE_STEP
from diagnostics.analyze.thread_waits import For, stood_still, wait_of
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.model import Process, State, Thread

_POOL = ("WorkerLoop",)
_OPERATION = ("::Compute",)
_STEPS = (*REMOTE_STEP, "DirectSession::WaitForNotification")
_HOLD_A_THREAD = ("UnstageOp", "StageOp", "MapUnstage", "MapStage", "PyFunc", "BarrierOp")


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process) for process in facts.processes)


def _examine_process(process: Process) -> Case | None:
    if process.state in (State.PROGRESSING, State.FINISHED):
        return None
    inside = [t for t in process.threads if stack_mentions(t, _POOL) and stack_mentions(t, _OPERATION)]
    waiting = [
        thread for thread in inside if wait_of(thread).waits in (For.NOTIFY, For.LOCK) and _still(process, thread)
    ]
    if not waiting:
        return None
    case = Case("tf-inter-op-pool-exhausted")
    where = [process.rank]
    at = stack_mentions(waiting[0], _HOLD_A_THREAD) or stack_mentions(waiting[0], _OPERATION)
    said = f"{len(waiting)} threads of the pool wait" if len(waiting) > 1 else "a thread of the pool waits"
    case.saw("inside-operation", f"{said} inside an operation: {at}", "stacks", where)
    if stack_mentions(waiting[0], _HOLD_A_THREAD):
        case.saw("holds-thread", "it is one that holds its thread for as long as it waits", "stacks", where)
    if len(inside) > len(waiting):
        case.saw("pool-works", "another thread of the pool works inside an operation", "stacks", where)
    else:
        case.saw("pool-idle", "no thread of the pool is at work", "stacks", where)
    steps = [t for t in process.threads if any(stack_has(t, [name]) for name in _STEPS)]
    if len(steps) > 1:
        case.saw("steps-begun", f"{len(steps)} steps have begun, and the pool works on none", "stacks", where)
    else:
        said = "no other step is seen that wants a thread: what is waited for may only be slow"
        case.saw("one-step", said, "stacks", where)
    if process.state is State.HUNG:
        case.saw("hung", "it is silent for longer than its history allows", "recorder", where)
    case.needs("how many threads the pool has: inter_op_parallelism_threads, of the server where there is one")
    return case


def _still(process: Process, thread: Thread) -> bool:
    return not process.samples or stood_still(process, thread.tid)


CAUSE = Cause(
    id="tf-inter-op-pool-exhausted",
    family="thread-pool-exhaustion",
    title="Operations that wait hold all threads of the inter-op pool, and what they wait for finds none",
    examine=examine,
    not_to_be_confused_with=(
        "One blocking operation that waits for a slow feeder is slow input: as long as a thread of the pool is free, "
        "what it waits for can still run. Idle threads of the intra-op pool look like idle ones of the inter-op pool."
    ),
    versions="Any TensorFlow; likelier with few cores or a small inter_op_parallelism_threads",
    remedies=(
        Remedy(
            "more-threads",
            "Give the pool more threads than operations can block at once: inter_op_parallelism_threads, set on "
            "tf.train.Server where there is one (on the session it has no effect there)",
        ),
        Remedy(
            "own-pool",
            "Run what feeds the blocking operations in a pool of its own (session_inter_op_thread_pool)",
        ),
        Remedy(
            "no-blocking-operations",
            "Replace staging areas and blocking Python functions by tf.data or queues, which wait without a thread",
        ),
    ),
    references=(
        "https://www.tensorflow.org/api_docs/python/tf/compat/v1/ConfigProto",
        "https://github.com/tensorflow/tensorflow/issues/39006",
        "https://github.com/tensorflow/tensorflow/issues/4917",
    ),
    scenario="pool-exhausted",
    search_for=(
        "    Eigen::NonBlockingThreadPoolTempl<...>::WorkerLoop(...)",
        "    tensorflow::(anonymous namespace)::ExecutorState::Process(...)",
        "    tensorflow::UnstageOp::Compute(tensorflow::OpKernelContext*)",
        "    std::condition_variable::wait(...)",
    ),
)
