"""The suspended tasks of event loops that sleep. No stack shows them: a coroutine that awaits has no thread."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from diagnostics.model import Collection, Coroutine, Process, Role, TasksWatched
from diagnostics.stacks.position import threads_with
from diagnostics.transport import Reach, ask, with_told

SOURCE = "asyncio_tasks"
_MARGIN = 12.0


class _Told(msgspec.Struct, forbid_unknown_fields=True):
    coroutines: tuple[Coroutine, ...]


class _ToldWatched(msgspec.Struct, forbid_unknown_fields=True):
    tasks_watched: TasksWatched


def look(collection: Collection, reach: Reach) -> Collection:
    """The collection with the coroutines of those whose loop sleeps."""
    loops = [process for process in collection.processes if not process.coroutines and _sleeps(process)]
    if not loops:
        return collection
    return with_told(collection, ask(reach, SOURCE, loops, {}, _Told), _with)


def watch(collection: Collection, loops: Sequence[Process], reach: Reach, seconds: float) -> Collection:
    """The collection, with whether all tasks of a loop stand but those that sleep and report, seen for so long.

    It is known as soon as one task is woken. Of several loops nothing is asked.
    """
    if len(loops) != 1:
        return collection
    told = ask(reach, SOURCE, loops, {"watch": seconds}, _ToldWatched, seconds + _MARGIN)
    return with_told(collection, told, _with_watched)


def _with(process: Process, told: _Told) -> Process:
    return msgspec.structs.replace(process, coroutines=told.coroutines)


def _with_watched(process: Process, told: _ToldWatched) -> Process:
    return msgspec.structs.replace(process, tasks_watched=told.tasks_watched)


def _sleeps(process: Process) -> bool:
    return bool(threads_with(process, Role.EVENT_LOOP, idle=True))
