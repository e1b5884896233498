"""Who fills the queue that a step waits on: by the program's source, as far as its frames name the files."""

from __future__ import annotations

import msgspec

from diagnostics.model import Collection, Process
from diagnostics.stacks.source import source_of
from diagnostics.transport import Reach, ask, with_told

SOURCE = "feeders"


class _Told(msgspec.Struct, forbid_unknown_fields=True):
    feeds_itself: bool


def look(collection: Collection, reach: Reach) -> Collection:
    """The collection with what the sources tell of those whose main thread is inside of a session's step."""
    inside = [process for process in collection.processes if _is_inside(process)]
    if not inside:
        return collection
    wanted = {"files": {str(process.pid): _files(process) for process in inside}}
    return with_told(collection, ask(reach, SOURCE, inside, wanted, _Told), _with)


def _with(process: Process, told: _Told) -> Process:
    return msgspec.structs.replace(process, feeds_itself=told.feeds_itself)


def _is_inside(process: Process) -> bool:
    return any(
        frame.function.rpartition(".")[2] == "run" and frame.file.endswith("client/session.py")
        for thread in process.threads
        if thread.tid == process.pid
        for frame in thread.frames
    )


def _files(process: Process) -> list[str]:
    files = dict.fromkeys(frame.file for thread in process.threads for frame in thread.frames if not frame.native)
    return [file for file in files if not (source_of(file).standard or source_of(file).installed)]
