"""The suspended tasks of event loops that sleep. No stack shows them: a coroutine that awaits has no thread."""

from __future__ import annotations

import msgspec

from diagnostics.model import Collection, Coroutine, Process, Role, State, TasksWatched
from diagnostics.stacks.position import is_idle, main_position, pairs, threads_with
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


def watch(collection: Collection, judged: Collection, reach: Reach, seconds: float) -> Collection:
    """The collection, with whether all tasks of a loop stand but those that sleep and report, seen for so long.

    `judged`: the same with positions and states. Asked of a loop alone that seems to get on by no more than what it
    writes, and that nothing outside of it can wake: else it is known at once, or as soon as one task is woken.
    """
    loops = [process for process in judged.processes if _may_only_report(process, judged)]
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


def _may_only_report(process: Process, collection: Collection) -> bool:
    main = main_position(process)
    call = next((one for one in process.blocking_calls if main and one.tid == main.tid), None)
    if process.state is not State.PROGRESSING or process.flight or len(process.samples) < 2:
        return False
    if main is None or not main.has(Role.EVENT_LOOP) or call is None or not call.limited or call.kind != "socket":
        return False
    alone = not process.connections and not process.listens and call.others in ((), (process.pid,))
    children = any(one.parent == process.pid and one.host == process.host for one in collection.processes)
    if not alone or children or not all(one.tid == main.tid or is_idle(one) for _, one in pairs(process)):
        return False
    first, last = process.samples[0], process.samples[-1]
    wrote = last.io_written - first.io_written
    return first.socket_bytes == last.socket_bytes and 0 < wrote == last.io_bytes - first.io_bytes
