"""The answer as one plain sentence. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.model import Collection, Culprit, Position, State, WaitKind
from diagnostics.model.rank import parse
from diagnostics.stacks.position import main_position

_MOST = 4


def summary_of(
    collection: Collection, verdict: str, hung: bool | None, culprits: Sequence[Culprit], title: str
) -> str:
    """`worker:0 hangs for 31 s in all_reduce, step (train.py:44); it waits for worker:1, which stands in ...`."""
    if hung is False or verdict in ("slow", "throttled") or not collection.processes:
        return title or "nothing hangs"
    parts = [part for part in (_standing(collection, hung, culprits), _culprit(culprits), title) if part]
    return "; ".join(parts) or "nothing can be told"


def _standing(collection: Collection, hung: bool | None, culprits: Sequence[Culprit]) -> str:
    stuck = [process for process in collection.processes if process.state is State.HUNG]
    if not stuck and hung is not False:
        stuck = [process for process in collection.processes if process.state is State.UNKNOWN and process.threads]
    ranks = [process for process in stuck if not parse(process.rank).is_child] or stuck
    if not ranks:
        return ""
    blamed = {one.rank for one in culprits}
    ranks = [process for process in ranks if process.rank not in blamed] or ranks  # those that it holds up
    first = max(ranks, key=lambda process: process.since)
    ranks = [process for process in ranks if where(main_position(process)) == where(main_position(first))]
    known = first.since >= 0 and first.state is State.HUNG
    verb = ("hangs" if first.state is State.HUNG else "stands") + (f" for {first.since:.0f} s" if known else "")
    others = len(ranks) - 1
    names = ", ".join(process.rank for process in ranks[:_MOST])
    names += f" and {others - _MOST + 1} more" if others >= _MOST else ""
    place = where(main_position(first))
    return f"{names} {verb if len(ranks) == 1 else verb.replace('hangs', 'hang').replace('stands', 'stand')}{place}"


def _culprit(culprits: Sequence[Culprit]) -> str:
    if not culprits:
        return ""
    one = culprits[0]
    waits = one.position.waits_for if one.position and one.position.waits is not WaitKind.NOTHING else ""
    said = f"look at {one.rank}" + (f" (process {one.pid})" if one.pid else "") + where(one.position)
    return said + (f", waiting for {waits}" if waits else "")


def where(position: Position | None) -> str:
    """` in all_reduce, step (train.py:44)`, "" where nothing is known."""
    if position is None:
        return ""
    parts = list(dict.fromkeys(filter(None, (position.operation, position.place))))
    return f" in {', '.join(parts)}" if parts else ""
