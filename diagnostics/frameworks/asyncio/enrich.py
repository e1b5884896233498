"""The suspended tasks of event loops that sleep. No stack shows them: a coroutine that awaits has no thread."""

from __future__ import annotations

import msgspec

from diagnostics.model import Collection, Coroutine, Process, Role
from diagnostics.stacks.position import threads_with
from diagnostics.transport import Reach, ask

SOURCE = "asyncio_tasks"


def look(collection: Collection, reach: Reach) -> Collection:
    """The collection with the coroutines of those whose loop sleeps."""
    loops = [process for process in collection.processes if not process.coroutines and _sleeps(process)]
    if not loops:
        return collection
    found, _ = ask(reach, SOURCE, loops, {})
    told = {place: msgspec.convert(one["coroutines"], tuple[Coroutine, ...]) for place, one in found.items()}
    processes = tuple(
        msgspec.structs.replace(process, coroutines=told.get((process.host, process.pid), process.coroutines))
        for process in collection.processes
    )
    return msgspec.structs.replace(collection, processes=processes)


def _sleeps(process: Process) -> bool:
    return bool(threads_with(process, Role.EVENT_LOOP, idle=True))
