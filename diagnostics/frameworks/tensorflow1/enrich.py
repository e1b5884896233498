"""What the memory of a job that is stuck already tells, looked at along with its stacks.

Every server of distributed TensorFlow has its cluster's tasks in memory, with their addresses. And a client that waits
in RunStep may wait for a receive that escaped its abort. No thread stands behind one, but its object is in memory.
Where that can be read, and the release names its classes, it is: nobody is stopped for it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import msgspec

from diagnostics.errors import MissingError
from diagnostics.frameworks.tensorflow1 import memory
from diagnostics.model import Collection, Process, Role, Task, WaitKind
from diagnostics.model.trace import TraceResult
from diagnostics.stacks.position import threads_with
from diagnostics.transport import Reach, ask, with_told

TASKS = "tensorflow1_tasks"
MOST_ASKING = 4
"""Clients of a host whose memory is searched for the cluster's tasks."""
_ASKS = (Role.STEP, Role.RENDEZVOUS, Role.COLLECTIVE, Role.TEARDOWN)
STILL = 0.05
"""Processor seconds a second below which a process stands still: threads that only wait take a tenth of this."""


class _Told(msgspec.Struct, forbid_unknown_fields=True):
    tasks: tuple[Task, ...]


def look(collection: Collection, reach: Reach) -> Collection:
    """The collection with what its processes' memory tells: the cluster's tasks, and of a client that stands still in a
    step of a session whether its receive escaped. As it was where memory may not be read, or the library does not name
    what is looked for."""
    with ThreadPoolExecutor(1) as pool:  # each mostly waits for a collector
        tasks = pool.submit(_with_tasks, collection, reach)
        trace = _trace(collection, reach)
    told = tasks.result()
    return told if trace is collection.trace else msgspec.structs.replace(told, trace=trace)


def _trace(collection: Collection, reach: Reach) -> TraceResult | None:
    clients = {process.rank for process in collection.processes if _is_stuck_client(process)}
    if collection.trace or not clients:
        return collection.trace
    try:
        held = memory.read(reach, [process for process in collection.processes if process.threads], clients)
        return memory.judge(held, clients)
    except MissingError:  # no right to, another release, or a process that is gone meanwhile
        return None


def _with_tasks(collection: Collection, reach: Reach) -> Collection:
    """Those that ask others know who has answered them."""
    servers = [
        process
        for process in collection.processes
        if process.versions.framework == "tensorflow" and process.listens and _stands_still(process)
    ]
    if not servers:
        return collection
    asking = [process.pid for process in servers if threads_with(process, *_ASKS)]
    told = ask(reach, TASKS, servers, {"asking": asking[:MOST_ASKING]}, _Told)
    return with_told(collection, told, lambda process, said: msgspec.structs.replace(process, tasks=said.tasks))


def _is_stuck_client(process: Process) -> bool:
    return _in_remote_step(process) and _stands_still(process)


def _in_remote_step(process: Process) -> bool:
    """Whether a thread waits for a step of a session on a server."""
    return any(at.waits is WaitKind.STEP and at.has(Role.REMOTE) for _, at in threads_with(process, Role.STEP))


def _stands_still(process: Process) -> bool:
    if len(process.samples) < 2:
        return False
    first, last = process.samples[0], process.samples[-1]
    return last.cpu - first.cpu < STILL * max(1.0, last.at - first.at)
