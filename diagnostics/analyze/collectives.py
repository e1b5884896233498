"""Which collective operation a rank stands in, read off its stacks. Pure."""

from __future__ import annotations

import os
import re

from diagnostics.analyze.facts import stack_mentions
from diagnostics.analyze.thread_waits import short
from diagnostics.model import Process, Thread
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
