"""The other rank of a `send` or `recv` that a rank stands in, out of the variables of that call."""

from __future__ import annotations

import msgspec

from diagnostics.collector.sources.partners import is_partnered
from diagnostics.model import Collection, Partner, Process
from diagnostics.transport import Reach, ask, with_told

SOURCE = "partners"


class _Told(msgspec.Struct, forbid_unknown_fields=True):
    partners: tuple[Partner, ...]


def look(collection: Collection, reach: Reach) -> Collection:
    """The collection with the partners of those that are inside of such a call."""
    inside = [process for process in collection.processes if _is_inside(process)]
    if not inside:
        return collection
    return with_told(collection, ask(reach, SOURCE, inside, {}, _Told), _with)


def _with(process: Process, told: _Told) -> Process:
    return msgspec.structs.replace(process, partners=told.partners)


def _is_inside(process: Process) -> bool:
    return any(is_partnered(frame.function, frame.file) for thread in process.threads for frame in thread.frames)
