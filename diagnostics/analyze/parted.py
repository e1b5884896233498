"""Which of two parties that stand in different collectives did what the others never do. Pure.

Two ranks that wait in each other's way are alike, as far as the collectives tell. Where they were called from may tell
them apart: one was called at a place at which all ranks have called before, the other at one that only one party has
ever come to. Where both are new: the program went on from one line to the next, and one party stopped in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from diagnostics.model import Collective, Process
from diagnostics.stacks.position import main_position
from diagnostics.stacks.source import source_of


class Parted(NamedTuple):
    """`ranks` called `op` where the others came to `other`, called at `place`."""

    ranks: tuple[str, ...]
    op: str
    other: str
    place: str


_Place = tuple[str, str, int]


def who_parted(processes: Sequence[Process]) -> Parted | None:
    """None where there are more than two parties, or it is not told which of them did something of its own."""
    last = {process.rank: one for process in processes if (one := _in(process))}
    if len(last) < len(processes) or len({(one.group, one.seq) for one in last.values()}) != 1:
        return None
    parties: dict[tuple[str, tuple[_Place, ...]], list[Process]] = {}
    for process in processes:
        one = last[process.rank]
        parties.setdefault((one.op, _own(one)), []).append(process)
    if len(parties) != 2 or not all(path for _, path in parties):
        return None
    (first, these), (second, those) = parties.items()
    usual = _came_before(first[1], those), _came_before(second[1], these)
    if usual == (True, True):
        return None
    odd = usual == (False, True) or (usual == (False, False) and _stopped_before(first[1], second[1]))
    if not odd and usual == (False, False) and not _stopped_before(second[1], first[1]):
        return None
    (op, _), (other, path), ranks = (first, second, these) if odd else (second, first, those)
    function, file, line = path[-1]
    place = f"{function} ({file.rpartition('/')[2]}:{line})"
    return Parted(tuple(process.rank for process in ranks), op, other, place)


def _in(process: Process) -> Collective | None:
    """The collective in which its main thread waits."""
    main = main_position(process)
    known = (one for one in process.collectives if main and (one.group, one.seq) == (main.group, main.number))
    return next((one for one in known if not one.p2p and one.state != "completed"), None)


def _own(collective: Collective) -> tuple[_Place, ...]:
    """The program's own frames, outermost first."""
    frames = (frame for frame in collective.frames if not frame.native)
    own = (one for one in frames if not (source_of(one.file).standard or source_of(one.file).installed))
    return tuple((one.function, one.file, one.line) for one in own)


def _came_before(path: tuple[_Place, ...], others: Sequence[Process]) -> bool:
    """Whether one of the others has called a collective by this way: what all share may be called from anywhere."""
    return any(_own(one) == path for process in others for one in process.collectives)


def _stopped_before(path: tuple[_Place, ...], other: tuple[_Place, ...]) -> bool:
    """Whether the two part in one function, and this one at an earlier line, by which the other has gone."""
    parts = next((pair for pair in zip(path, other, strict=False) if pair[0] != pair[1]), None)
    return parts is not None and parts[0][:2] == parts[1][:2] and parts[0][2] < parts[1][2]
