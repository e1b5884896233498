"""Suspended tasks of asyncio, out of memory. Only where asked for: whole processes are looked through. Nobody is
stopped; no code is put into the process, as its own `python -m asyncio ps` would."""

import time
from functools import partial
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from diagnostics.collector.look import Fields, Look, plain
from diagnostics.collector.memory import asyncio_stand, asyncio_tasks
from diagnostics.collector.memory.process import Memory, Unreadable
from diagnostics.collector.sources import loops
from diagnostics.collector.sources.collectives import Frame


class Coroutine(NamedTuple):
    """As `diagnostics.model.Coroutine`."""

    task: str
    frames: Tuple[Frame, ...]
    awaits: str


def asked(look: Look, wanted: Dict[str, Any], until: float) -> Fields:
    if "watch" in wanted:
        watched = [
            (pid, asyncio_stand.watch(pid, float(wanted["watch"]), until, partial(_tells, pid)))
            for pid in look.pids[:1]
        ]
        return {pid: {"tasks_watched": plain(found)} for pid, found in watched if found}
    found = {pid: coroutines_of(pid) for pid in look.pids if time.monotonic() < until}
    return {pid: {"coroutines": plain(coroutines)} for pid, coroutines in found.items() if coroutines}


def _tells(pid: int, frames: Sequence[Dict[str, Any]]) -> bool:
    """Whether its source says of a task that it only tells how it goes."""
    innermost = [{"name": one["name"], "filename": one["file"], "line": one["line"]} for one in reversed(frames)]
    return loops.telling_loop(pid, innermost) is not None


def coroutines_of(pid: int) -> List[Coroutine]:
    try:
        with Memory(pid) as memory:
            return [
                Coroutine(
                    task.name, tuple(Frame(one["name"], one["file"], one["line"]) for one in task.frames), task.awaits
                )
                for task in asyncio_tasks.tasks_of(memory)
            ]
    except (Unreadable, OSError):
        return []
