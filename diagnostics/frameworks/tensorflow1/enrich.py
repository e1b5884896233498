"""What the memory of a job that is stuck already proves, looked at along with its stacks.

A client that waits in RunStep may wait for a receive that escaped its abort. No thread stands behind one, but its
object is in memory. Where that can be read, and the release names its classes, it is: nobody is stopped for it.
"""

from __future__ import annotations

import msgspec

from diagnostics.analyze.tf_steps import in_remote_step
from diagnostics.errors import MissingError
from diagnostics.frameworks.tensorflow1 import memory
from diagnostics.model import Collection, Process
from diagnostics.transport import Reach

STILL = 0.05
"""Processor seconds a second below which a process stands still: threads that only wait take a tenth of this."""


def look(collection: Collection, reach: Reach) -> Collection:
    """The collection with what its processes' memory proves, if there may be something: a client that stands still in a
    step of a session. As it was where memory may not be read, or the library does not name what is looked for."""
    clients = {process.rank for process in collection.processes if _is_stuck_client(process)}
    if collection.trace or not clients:
        return collection
    try:
        held = memory.read(reach, [process for process in collection.processes if process.threads], clients)
        result = memory.judge(held, clients)
    except MissingError:  # no right to, another release, or a process that is gone meanwhile
        return collection
    return msgspec.structs.replace(collection, trace=result)


def _is_stuck_client(process: Process) -> bool:
    return bool(in_remote_step(process)) and _stands_still(process)


def _stands_still(process: Process) -> bool:
    if len(process.samples) < 2:
        return False
    first, last = process.samples[0], process.samples[-1]
    return last.cpu - first.cpu < STILL * max(1.0, last.at - first.at)
