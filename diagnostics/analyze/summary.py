"""The answer in plain sentences. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.analyze.coverage import compact, coverage_words
from diagnostics.analyze.wait_graph import cycles, graph_of, rank_in
from diagnostics.model import Collection, Culprit, FactKind, Position, Process, State, Wait, WaitKind
from diagnostics.model.rank import parse
from diagnostics.stacks.position import main_position

_CALM = ("slow", "throttled")
_MOST_IN_CIRCLE = 8


def standing_of(
    collection: Collection, verdict: str, hung: bool | None, culprits: Sequence[Culprit], waits: Sequence[Wait]
) -> str:
    """Who is held up, and where: `worker:0-6 wait for worker:7 in all_reduce, step (train.py:44)`.

    "" where nobody is held up but the culprit itself, of which more is said elsewhere.
    """
    if hung is False or verdict in _CALM:
        return ""
    if circle := _circle(culprits, waits):
        return f"{', '.join(circle)} wait for each other in a circle"
    held = _held_up(collection, culprits)
    if not held:
        return ""
    first = max(held, key=lambda process: process.since)
    place = where(main_position(first))
    alike = [process for process in held if where(main_position(process)) == place]
    one = len(alike) == 1
    names = compact(process.rank for process in alike)
    others = len(held) - len(alike)
    rest = f"; so {'does' if others == 1 else 'do'} {others} more, elsewhere" if others else ""
    if culprits and culprits[0].rank not in {process.rank for process in held}:
        verb = "waits" if one else "wait"
        return f"{names} {verb} for {_name(culprits[0])}{place}{rest}"
    return f"{names} {'stands' if one else 'stand'} still{place}{rest}"


def _circle(culprits: Sequence[Culprit], waits: Sequence[Wait]) -> tuple[str, ...]:
    """The ranks that wait for each other, the likeliest culprit among them, each before the one that it waits for."""
    graph = graph_of(waits)
    for group in cycles(graph) if culprits else ():
        nodes = {rank_in(name): name for name in group}
        if culprits[0].rank in nodes and 1 < len(nodes) == len(group) <= _MOST_IN_CIRCLE:
            path = [nodes[culprits[0].rank]]
            while following := sorted((graph[path[-1]] & set(group)) - set(path)):
                path.append(following[0])
            return tuple(map(rank_in, path if len(path) == len(group) else group))
    return ()


def summary_of(
    collection: Collection, verdict: str, hung: bool | None, culprits: Sequence[Culprit], title: str, standing: str
) -> str:
    """`worker:0 waits for worker:1 in all_reduce, step (train.py:44); worker:1 stands in ...; the cause`."""
    if hung is False or verdict in _CALM or not collection.processes:
        return title or "nothing hangs"
    parts = (standing, _culprit(culprits), title)
    return "; ".join(filter(None, parts)) or _told(collection) or "nothing can be told"


_SIGNIFICANT = (
    FactKind.ABSENT, FactKind.OUT_OF_MEMORY, FactKind.DEVICE, FactKind.ENDED, FactKind.HEARTBEAT_LOST,
    FactKind.NOT_CONNECTED, FactKind.NOT_JOINED, FactKind.CONNECTION_LOST, FactKind.STORAGE, FactKind.INPUT,
    FactKind.STUCK, FactKind.TIMED_OUT, FactKind.COUNTS, FactKind.STATUS, FactKind.LOCK, FactKind.ERROR,
)  # fmt: skip
"""Kinds of facts, the most significant first."""


def _told(collection: Collection) -> str:
    """Who stands where, or what the logs state, where nothing follows from it."""
    standing = next(iter(coverage_words(collection)), "")
    if standing:
        return standing
    said = [(p.rank, fact) for p in collection.processes for fact in p.facts if fact.kind in _SIGNIFICANT]
    if not said:
        return ""
    rank, fact = min(said, key=lambda one: _SIGNIFICANT.index(one[1].kind))
    more = len({one.words for _, one in said}) - 1
    return f"{rank}: {fact.words}" + (f"; {more} more in the logs" if more else "")


def _held_up(collection: Collection, culprits: Sequence[Culprit]) -> list[Process]:
    """The ranks that hang, without the culprit where there are others; without a rank its children."""
    stuck = [process for process in collection.processes if process.state is State.HUNG]
    if not stuck:
        stuck = [process for process in collection.processes if process.state is State.UNKNOWN and process.threads]
    ranks = [process for process in stuck if not parse(process.rank).helps] or stuck
    blamed = {one.rank for one in culprits}
    held = [process for process in ranks if process.rank not in blamed]
    if not held and len(culprits) > 1 and culprits[0].confidence > culprits[1].confidence:
        held = [process for process in ranks if process.rank != culprits[0].rank]
    return held or ([] if len(culprits) == 1 else ranks)


def _culprit(culprits: Sequence[Culprit]) -> str:
    if not culprits:
        return ""
    one = culprits[0]
    if one.position is None:
        return f"{_name(one)}: {one.why}" if one.why else f"look at {_name(one)}"
    waits = one.position.waits_for if one.position.waits is not WaitKind.NOTHING else ""
    said = f"{_name(one)} stands{where(one.position) or ' still'}"
    return said + (f" and waits for {waits}" if waits else "")


def _name(culprit: Culprit) -> str:
    known_by_pid = str(culprit.pid) in culprit.rank
    return culprit.rank if known_by_pid or culprit.pid <= 0 else f"{culprit.rank} (pid {culprit.pid})"


def where(position: Position | None) -> str:
    """` in all_reduce, step (train.py:44)`, "" where nothing is known."""
    if position is None:
        return ""
    parts = list(dict.fromkeys(filter(None, (position.operation, position.place))))
    return f" in {', '.join(parts)}" if parts else ""
