"""Who holds the lock of Python that a thread waits for: by the source of the functions in which the others stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from diagnostics.model import Collection, LockBlock, Process, Thread, WaitKind
from diagnostics.stacks.position import pairs
from diagnostics.stacks.source import source_of
from diagnostics.transport import Reach, ask, with_told

SOURCE = "python_locks"


class _Told(msgspec.Struct, forbid_unknown_fields=True):
    lock_blocks: tuple[LockBlock, ...]


def look(collection: Collection, reach: Reach) -> Collection:
    """The collection with the locks of those of whose threads one waits for a lock."""
    waiting = [process for process in collection.processes if not process.lock_blocks and _wants_a_lock(process)]
    if not waiting:
        return collection
    wanted = {"threads": {str(process.pid): _threads(process) for process in waiting}}
    return with_told(collection, ask(reach, SOURCE, waiting, wanted, _Told), _with)


def _with(process: Process, told: _Told) -> Process:
    return msgspec.structs.replace(process, lock_blocks=told.lock_blocks)


def _wants_a_lock(process: Process) -> bool:
    locked = [thread for thread, one in pairs(process) if one.waits is WaitKind.LOCK and not one.holder]
    return any(not frame.native for thread in locked for frame in thread.frames)


def _threads(process: Process) -> list[Any]:
    return [[thread.tid, own] for thread in process.threads if (own := list(_own_frames(thread)))]


def _own_frames(thread: Thread) -> Iterator[list[Any]]:
    """File, function, line and what is called there, innermost first, of the program's own frames."""
    python = [frame for frame in thread.frames if not frame.native]
    for frame, inner in zip(reversed(python), [None, *reversed(python)], strict=False):
        where = source_of(frame.file)
        if not (where.standard or where.installed):
            yield [frame.file, frame.function, frame.line, inner.function.rpartition(".")[2] if inner else ""]
