"""Operations that wait inside their kernels hold all threads of the inter-op pool; what they wait for finds none.

Most operations of TensorFlow that wait do so without a thread. Some hold theirs: `Unstage` and `Stage` of a staging
area, Python functions, summaries to a slow disk. If what would let them go on is an operation too, of the same or of
another step, it needs a thread of the same pool. What carries the cause: several threads of the pool wait for a
notification inside an operation, none of the pool works, and another step has begun that no thread works on.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import look_at_stillness, may_be_stuck, threads_at
from diagnostics.model import Process, Role, WaitKind
from diagnostics.stacks.position import pairs

_HOLD_A_THREAD = (Role.QUEUE_GET, Role.QUEUE_PUT, Role.CALLBACK)


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process) for process in facts.processes if may_be_stuck(process))


def _examine_process(process: Process) -> Case | None:
    inside = [at for at in threads_at(process) if at.position.has(Role.OPERATION) and not at.position.has(Role.STEP)]
    waiting = [at for at in inside if at.position.waits in (WaitKind.CONDITION, WaitKind.LOCK)]
    if not waiting:
        return None
    case = Case("tf-inter-op-pool-exhausted")
    where = [process.rank]
    said = f"{len(waiting)} threads of the pool wait" if len(waiting) > 1 else "a thread of the pool waits"
    key = "several-inside" if len(waiting) > 1 else "one-inside"
    case.saw(key, f"{said} inside an operation: {waiting[0].where}", "stacks", where)
    if waiting[0].position.has(*_HOLD_A_THREAD):
        case.saw("holds-thread", "it is one that holds its thread for as long as it waits", "stacks", where)
    if len(inside) > len(waiting):
        case.saw("pool-works", "another thread of the pool works inside an operation", "stacks", where)
    else:
        case.saw("pool-idle", "no thread of the pool is at work", "stacks", where)
    steps = [position for _, position in pairs(process) if position.has(Role.STEP)]
    if len(steps) > 1:
        case.saw("steps-begun", f"{len(steps)} steps have begun, and the pool works on none", "stacks", where)
    else:
        said = "no other step is seen that wants a thread: what is waited for may only be slow"
        case.saw("one-step", said, "stacks", where)
    look_at_stillness(case, process, waiting)
    case.needs("how many threads the pool has: inter_op_parallelism_threads, of the server where there is one")
    return case


CAUSE = Cause(
    id="tf-inter-op-pool-exhausted",
    only="tensorflow",
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
