"""Where each rank stands, as all reports tell it: ranks that stand alike in one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from diagnostics.analyze.wait_graph import rank_in, thread_in
from diagnostics.model import Collection, Diagnosis, Position, Process, State, WaitKind
from diagnostics.model.rank import parse
from diagnostics.report.text import compact_ranks, duration, named_plainly, plural, rank_order
from diagnostics.stacks.position import main_position, position_of, recorded_position

WORST_FIRST = (
    State.HUNG,
    State.DEAD,
    State.UNREACHABLE,
    State.SLOW,
    State.UNKNOWN,
    State.IDLE,
    State.PROGRESSING,
    State.FINISHED,
)

MOST_NAMED_CHILDREN = 2

SPINNING = "spinning"


class PositionRow(NamedTuple):
    """Ranks in the same state at the same place. Text is ready to show, "" where nothing is known."""

    ranks: str
    state: State
    since: str
    operation: str
    place: str  # `step (train.py:31)`
    waits_for: str
    culprit: bool
    helps: bool  # children and launchers, which are no ranks
    members: int


def position_of_rank(process: Process) -> Position | None:
    """Where a rank stands, by its stacks or by what its framework recorded; None where nothing is known."""
    position = main_position(process)
    return position if position and _tells(position) else recorded_position(process)


def positions_shown(collection: Collection, diagnosis: Diagnosis) -> Mapping[tuple[str, int], Position]:
    """(rank, pid) -> where a server's thread stands that another rank waits for, rather than its main thread, which
    waits for the next client. Only of those."""
    asked = {
        rank_in(wait.on): thread_in(wait.on)
        for wait in diagnosis.waits
        if wait.kind is WaitKind.SOCKET and thread_in(wait.on) and rank_in(wait.rank) != rank_in(wait.on)
    }
    found = ((p, position_of(p, asked[p.rank])) for p in collection.processes if p.rank in asked)
    return {(process.rank, process.pid): position for process, position in found if position}


def _tells(position: Position) -> bool:
    return bool(position.operation or position.function or position.waits_for)


def position_document(position: Position | None) -> dict[str, Any] | None:
    """As the JSON document has it; null stands for what is not known."""
    if position is None or not _tells(position):
        return None
    return {
        "operation": position.operation,
        "function": position.function,
        "file": position.file,
        "line": position.line,
        "waits_for": waits_for(position),
        "since_s": seconds_known(position.since),
        "busy": position.busy,
        "tid": position.tid or None,
        "group": position.group or None,
        "number": position.number if position.number >= 0 else None,
    }


def seconds_known(seconds: float) -> float | None:
    return round(seconds, 3) if seconds >= 0 else None


def waits_for(position: Position) -> str:
    """In words; "" for a thread that runs."""
    return "" if position.waits is WaitKind.NOTHING else named_plainly(position.waits_for)


def operation_of(position: Position) -> str:
    """`all_reduce number 12 of group dp`."""
    number = f" number {position.number:,}" if position.number >= 0 else ""
    group = f" of group {position.group}" if position.group and number else ""
    busy = ""
    if position.busy and not position.operation.startswith(SPINNING):
        busy = f"{SPINNING} in " if position.operation else SPINNING
    return f"{busy}{position.operation}{number}{group}"


def position_rows(collection: Collection, diagnosis: Diagnosis) -> tuple[PositionRow, ...]:
    """Culprits first, then those in trouble, ranks before their children."""
    culprits = {(culprit.rank, culprit.pid) for culprit in diagnosis.culprits}
    shown = positions_shown(collection, diagnosis)
    alike: dict[tuple[object, ...], list[tuple[Process, Position | None]]] = {}
    for process in collection.processes:
        position = shown.get((process.rank, process.pid)) or position_of_rank(process)
        named = (process.rank, process.pid) in culprits
        key = (named, parse(process.rank).helps, process.state, *_place(position))
        alike.setdefault(key, []).append((process, position))
    rows = [_row(members, named=bool(key[0]), helps=bool(key[1])) for key, members in alike.items()]
    seen = {process.rank for process in collection.processes}
    if absent := [rank for rank in dict.fromkeys(collection.expected) if rank not in seen]:
        rows.append(PositionRow(
            compact_ranks(absent), State.UNREACHABLE, "", "", "", "", any(rank in seen for rank, _ in culprits), False,
            len(absent),
        ))  # fmt: skip
    first = {row: rank_order(row.ranks.split(",")[0]) for row in rows}
    return tuple(sorted(rows, key=lambda row: (not row.culprit, row.helps, WORST_FIRST.index(row.state), first[row])))


def _place(position: Position | None) -> tuple[object, ...]:
    return (operation_of(position), position.place, position.waits) if position else ()


def _row(members: list[tuple[Process, Position | None]], named: bool, helps: bool) -> PositionRow:
    process, position = members[0]
    waits = {waits_for(one) for _, one in members if one}
    return PositionRow(
        ranks=_names([each.rank for each, _ in members]),
        state=process.state,
        since=_since(members),
        operation=operation_of(position) if position else "",
        place=position.place if position else "",
        waits_for=waits.pop() if len(waits) == 1 else position.waits.words if position else "",
        culprit=named,
        helps=helps,
        members=len(members),
    )


def _names(ranks: list[str]) -> str:
    parents = {parse(rank).parent for rank in ranks}
    if "" in parents or len(ranks) <= MOST_NAMED_CHILDREN:
        return named_plainly(compact_ranks(ranks))
    return f"{plural(len(ranks), 'child', 'children')} of {named_plainly(compact_ranks(parents))}"


def _since(members: Sequence[tuple[Process, Position | None]]) -> str:
    """`31.2 s`, `12.0 to 31.2 s`; of a place whose beginning was not seen, `≥ 31.2 s`."""
    known = [process.since for process, _ in members if process.since >= 0]
    known = known or [one.since for _, one in members if one and one.since >= 0]
    at_least = any(one.at_least for _, one in members if one)
    return ("≥ " if at_least else "") + span(min(known), max(known)) if known else ""


def span(low: float, high: float) -> str:
    shown = duration(high)
    return shown if high <= low * 1.05 + 1 else f"{duration(low)} to {shown}"
