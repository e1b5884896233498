"""What a rank has recorded of its collectives, out of the dump that it wrote: where its memory did not tell.

A dump tells of the time at which it was written. It is believed of a rank whose main thread has not run since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from diagnostics.discover.by_framework import first_group
from diagnostics.model import Collection, Collective, Process, ProcessGroup
from diagnostics.model.rank import RankKind, parse
from diagnostics.stacks.symbols import uses
from diagnostics.transport import Reach, ask, with_told

SOURCE = "flight_dumps"


class Dump(msgspec.Struct, forbid_unknown_fields=True):
    """`age`: seconds since it was written."""

    path: str
    age: float
    collectives: tuple[Collective, ...] = ()
    groups: tuple[ProcessGroup, ...] = ()
    why_not: str = ""


def look(collection: Collection, reach: Reach) -> Collection:
    """The collection with the dumps of ranks of PyTorch whose collectives are not known."""
    lacking = [p for p in collection.processes if not p.collectives and _is_of_torch(p) and _number(p) is not None]
    if not lacking:
        return collection
    return with_told(collection, ask(reach, SOURCE, lacking, {"ranks": _numbers(lacking)}, Dump), with_dump)


def with_dump(process: Process, dump: Dump) -> Process:
    """The process with what the dump tells; where it is not to be believed, with where it lies."""
    at = f"its Flight Recorder's dump {dump.path}, written {dump.age:.0f} s ago"
    if dump.why_not:
        return _noted(process, f"{at}, was not read: {dump.why_not}")
    if not _stands_since(process, dump.age):
        return _noted(process, f"{at}, is not taken for where it stands, as it has run since (lastbatch diagnose)")
    process = _noted(process, f"they are read from {at}, instead")
    return msgspec.structs.replace(process, collectives=dump.collectives, groups=process.groups or dump.groups)


def _noted(process: Process, said: str) -> Process:
    why_not = f"{process.framework_why_not}; {said}" if process.framework_why_not else said
    return msgspec.structs.replace(process, framework_why_not=why_not)


def _stands_since(process: Process, age: float) -> bool:
    """Whether the main thread has not run since the dump was written, which was `age` seconds before now or sooner."""
    last = [one.last_ran for sample in process.samples[-1:] for one in sample.threads if one.tid == process.pid]
    return bool(last) and last[0] >= age


def _is_of_torch(process: Process) -> bool:
    return process.versions.framework == "torch" or uses(process, "torch")


def _number(process: Process) -> int | None:
    """In the job."""
    if group := first_group(process):
        return group.rank
    known = parse(process.rank)
    return known.index if known.kind is RankKind.RANK else None


def _numbers(processes: Iterable[Process]) -> dict[str, int]:
    """By process id, without those that two hosts have."""
    found = [(str(process.pid), number) for process in processes if (number := _number(process)) is not None]
    counts = Counter(pid for pid, _ in found)
    return {pid: number for pid, number in found if counts[pid] == 1}
