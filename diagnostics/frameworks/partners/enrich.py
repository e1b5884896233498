"""The other rank of a `send` or `recv` that a rank stands in, out of the variables of that call."""

from __future__ import annotations

import msgspec

from diagnostics.collector.sources.partners import is_partnered
from diagnostics.model import Collection, Partner, Process
from diagnostics.transport import Reach, ask

SOURCE = "partners"


def look(collection: Collection, reach: Reach) -> Collection:
    """The collection with the partners of those that are inside of such a call."""
    inside = [process for process in collection.processes if _is_inside(process)]
    if not inside:
        return collection
    found, _ = ask(reach, SOURCE, inside, {})
    told = {place: msgspec.convert(one["partners"], tuple[Partner, ...]) for place, one in found.items()}
    processes = tuple(
        msgspec.structs.replace(process, partners=told[process.host, process.pid])
        if (process.host, process.pid) in told
        else process
        for process in collection.processes
    )
    return msgspec.structs.replace(collection, processes=processes)


def _is_inside(process: Process) -> bool:
    return any(is_partnered(frame.function, frame.file) for thread in process.threads for frame in thread.frames)
