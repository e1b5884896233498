"""Two bundles of one job: which ranks moved between them, which came, which are gone."""

from __future__ import annotations

from typing import Any

from diagnostics.model import Collection, Position, Process, Record, State
from diagnostics.report.positions import position_document, position_of_rank


class Moved(Record, frozen=True):
    """A rank in both bundles; a position is None where it was not seen.

    `moved`: whether it stands elsewhere, None where one of the positions is not known. At the same place a rank may
    have been elsewhere between the two.
    """

    rank: str
    before: Position | None
    after: Position | None
    state_before: State
    state_after: State
    moved: bool | None
    restarted: bool


class Comparison(Record, frozen=True):
    ranks: tuple[Moved, ...]
    new: tuple[str, ...]
    gone: tuple[str, ...]


def compare(before: Collection, after: Collection) -> Comparison:
    """What changed from one bundle to the other. Ranks are known by their names, in the order of the second one."""
    first = {process.rank: process for process in before.processes}
    second = {process.rank: process for process in after.processes}
    return Comparison(
        tuple(_moved(first[rank], process) for rank, process in second.items() if rank in first),
        tuple(rank for rank in second if rank not in first),
        tuple(rank for rank in first if rank not in second),
    )


def _moved(before: Process, after: Process) -> Moved:
    first, second = position_of_rank(before), position_of_rank(after)
    known = first is not None and second is not None
    return Moved(
        after.rank, first, second, before.state, after.state, _place(first) != _place(second) if known else None,
        (before.pid, before.host) != (after.pid, after.host),
    )  # fmt: skip


def _place(position: Position | None) -> tuple[str, str, str, int] | None:
    return (position.operation, position.function, position.file, position.line) if position else None


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """The JSON document of `report A B`."""
    ranks = [
        {
            "rank": one.rank, "moved": one.moved, "restarted": one.restarted,
            "state": {"before": one.state_before.value, "after": one.state_after.value},
            "position": {"before": position_document(one.before), "after": position_document(one.after)},
        }
        for one in comparison.ranks
    ]  # fmt: skip
    return {"ranks": ranks, "new": list(comparison.new), "gone": list(comparison.gone)}


def comparison_lines(comparison: Comparison) -> list[str]:
    """For a terminal, a line each; those that moved first."""
    order: dict[bool | None, int] = {True: 0, None: 1, False: 2}
    lines = [f"{one.rank}: {_words(one)}" for one in sorted(comparison.ranks, key=lambda one: order[one.moved])]
    lines += [f"{rank}: new in the second" for rank in comparison.new]
    lines += [f"{rank}: gone in the second" for rank in comparison.gone]
    return lines or ["no rank in either"]


def _words(one: Moved) -> str:
    first, second = _position_words(one.before), _position_words(one.after)
    place = f"from {first} to {second}" if one.moved else f"at the same place, {first}"
    if one.moved is None:
        place = f"not known whether it moved; before {first}, after {second}"
    changed = f"; {one.state_before.value}, then {one.state_after.value}" if one.state_before != one.state_after else ""
    return place + changed + ("; another process than before" if one.restarted else "")


def _position_words(position: Position | None) -> str:
    if position is None:
        return "not seen"
    file = position.file.rpartition("/")[2]
    at = f" ({file}:{position.line})" if file and position.line > 0 else f" ({file})" if file else ""
    return ", ".join(filter(None, (position.operation, position.function))) + at
