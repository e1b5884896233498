"""The suspended tasks of event loops that sleep. No stack shows them: a coroutine that awaits has no thread."""

from __future__ import annotations

import msgspec

from diagnostics.model import Collection, Coroutine, Process, Role
from diagnostics.stacks.position import threads_with
from diagnostics.transport import Reach, ask, with_told

SOURCE = "asyncio_tasks"


class _Told(msgspec.Struct, forbid_unknown_fields=True):
    coroutines: tuple[Coroutine, ...]


def look(collection: Collection, reach: Reach) -> Collection:
    """The collection with the coroutines of those whose loop sleeps."""
    loops = [process for process in collection.processes if not process.coroutines and _sleeps(process)]
    if not loops:
        return collection
    return with_told(collection, ask(reach, SOURCE, loops, {}, _Told), _with)


def _with(process: Process, told: _Told) -> Process:
    return msgspec.structs.replace(process, coroutines=told.coroutines)


def _sleeps(process: Process) -> bool:
    return bool(threads_with(process, Role.EVENT_LOOP, idle=True))
