"""Which collective operation a rank stands in, read off its stacks, and what those say that are in none. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from diagnostics.analyze.facts import evidence, names, stack_mentions
from diagnostics.analyze.thread_waits import rests, short, wait_of
from diagnostics.causes import Case
from diagnostics.model import Process, State, Thread
from diagnostics.stacks.prefix_tree import main_thread

_OPERATIONS = frozenset(
    {
        "all_reduce", "all_gather", "all_gather_into_tensor", "all_gather_object", "all_to_all", "all_to_all_single",
        "barrier", "broadcast", "broadcast_object_list", "gather", "gather_object", "monitored_barrier", "reduce",
        "reduce_scatter", "reduce_scatter_tensor", "scatter", "scatter_object_list",
    }
)  # fmt: skip
_GLOO_WORK = re.compile(r"Async(?:Sparse)?([A-Z]\w*?)(?:CUDA)?Work::")
_NATIVE = (
    ("c10d::Reducer::finalize_backward", "all_reduce"),
    ("CollectiveReduce", "all_reduce"),
    ("CollectiveGather", "all_gather"),
    ("CollectiveBcast", "broadcast"),
    ("horovod::common::", "a collective of Horovod"),
)
_WORKER_OF_MANY = ("tensorflow::eager::EagerServiceImpl", "tensorflow::GrpcWorkerEnv")
_NAMES = {
    "allreduce": "all_reduce",
    "allgather": "all_gather",
    "alltoall": "all_to_all",
    "reducescatter": "reduce_scatter",
}


def collective_of(process: Process) -> str:
    """The operation that the rank waits in, "" for none: `all_reduce`, `broadcast`, ..."""
    main = main_thread(process)
    for frame in reversed(main.frames if main else ()):
        if not frame.native and os.path.basename(frame.file) == "distributed_c10d.py" and short(frame) in _OPERATIONS:
            return short(frame)
    for thread in process.threads:
        for frame in thread.frames:
            if frame.native and (name := _native(frame.function)):
                return name
    return "a step over all workers" if _in_shared_function(process, main) else ""


def _in_shared_function(process: Process, main: Thread | None) -> bool:
    """TensorFlow 2's collectives wait without a thread: only the function's caller is seen, in a worker of many."""
    if main is None or not stack_mentions(main, ["ProcessFunctionLibraryRuntime::RunSync"]):
        return False
    return any(stack_mentions(thread, _WORKER_OF_MANY) for thread in process.threads)


def _native(function: str) -> str:
    if work := _GLOO_WORK.search(function):
        name = work[1].lower()
        return _NAMES.get(name, name)
    return next((name for part, name in _NATIVE if part in function), "")


def look_at_absent(case: Case, absent: Sequence[Process], finished_weight: float) -> None:
    """What ranks that are in no collective say of those that wait in one: who has left will not come to it."""
    finished = [process for process in absent if process.state is State.FINISHED or process.exit_status == 0]
    left = [process for process in absent if process not in finished]
    dead = [process for process in left if process.state in (State.DEAD, State.UNREACHABLE)]
    resting = [process for process in left if process not in dead and rests(process)]
    working = [process for process in left if process not in (*dead, *resting)]
    if finished:
        said = "has finished its work, and does not come to it any more"
        case.supports(finished_weight, evidence(said, "recorder", names(finished)))
    if resting:
        at = wait_of(thread).at if (thread := main_thread(resting[0])) else ""
        said = f"stands still outside of any collective, with nothing of its own to wait for: {at}"
        case.supports(1.9, evidence(said, "stacks", names(resting)))
    if dead:
        case.speaks_against(2.0, evidence("is gone, and had not finished as far as is known", "processes", names(dead)))
    if working:
        case.speaks_against(2.2, evidence("is elsewhere, and may still come", "stacks", names(working)))
