"""The group that ranks wait to be formed, out of their memory: before there is one, no ring tells of it."""

from __future__ import annotations

import msgspec

from diagnostics.collector.sources.joining import is_join
from diagnostics.model import Collection, Process, ProcessGroup
from diagnostics.transport import Reach, ask, with_told

SOURCE = "joining"


def look(collection: Collection, reach: Reach) -> Collection:
    """The collection with the first group of those that are inside of the call that forms it."""
    joining = [process for process in collection.processes if not _is_member(process) and _is_joining(process)]
    if not joining:
        return collection
    return with_told(collection, ask(reach, SOURCE, joining, {}, ProcessGroup), _with)


def _with(process: Process, group: ProcessGroup) -> Process:
    return msgspec.structs.replace(process, groups=(group,))


def _is_member(process: Process) -> bool:
    return any(group.rank >= 0 for group in process.groups)


def _is_joining(process: Process) -> bool:
    return any(is_join(frame.function, frame.file) for thread in process.threads for frame in thread.frames)
