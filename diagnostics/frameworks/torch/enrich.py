"""The group that ranks wait to be formed, out of their memory: before there is one, no ring tells of it."""

from __future__ import annotations

import msgspec

from diagnostics.model import Collection, Process, ProcessGroup
from diagnostics.transport import Reach, ask

SOURCE = "torch_joining"
FUNCTION = "init_process_group"
_HOME = "torch/distributed/"


def look(collection: Collection, reach: Reach) -> Collection:
    """The collection with the first group of those that are inside of the call that forms it."""
    joining = [process for process in collection.processes if not process.groups and _is_joining(process)]
    if not joining:
        return collection
    found, _ = ask(reach, SOURCE, joining, {})
    told = {place: msgspec.convert(one, ProcessGroup) for place, one in found.items()}
    return msgspec.structs.replace(
        collection,
        processes=tuple(_with(process, told.get((process.host, process.pid))) for process in collection.processes),
    )


def _with(process: Process, group: ProcessGroup | None) -> Process:
    return msgspec.structs.replace(process, groups=(group,)) if group and not process.groups else process


def _is_joining(process: Process) -> bool:
    return any(
        frame.function == FUNCTION and _HOME in frame.file for thread in process.threads for frame in thread.frames
    )
