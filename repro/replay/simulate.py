"""Where a plan's ranks stop, by the rules of collectives alone: to shrink a plan without running each try.

The n-th call of a group meets the n-th call of every other member; it ends when all have come with the same operation.
A send ends when its receive has come. Nothing else is known here: neither time nor sizes of buffers.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from diagnostics.analyze.wait_graph import cycles
from repro.replay.plan import Call, Plan, Stand

_PAIRS = ("send", "recv")


class Outcome(NamedTuple):
    """`stopped`: the index of the call in which each rank stops; as many as it has calls: it reached its stand.

    `waits`: for whom each rank that stops in a call waits.
    """

    stopped: dict[int, int]
    waits: dict[int, frozenset[int]]

    def cycle(self) -> bool:
        """Whether ranks that stop in calls wait for each other, round."""
        graph = {str(rank): frozenset(str(on) for on in whom if on in self.waits) for rank, whom in self.waits.items()}
        return bool(cycles(graph))


def simulate(plan: Plan) -> Outcome:
    """Let every rank go as far as it can."""
    calls = {one.rank: one.calls for one in plan.ranks}
    keys = {rank: _keys(rank, own) for rank, own in calls.items()}
    arrived: dict[object, dict[int, str]] = defaultdict(dict)
    place = dict.fromkeys(calls, 0)
    waiting: dict[object, set[int]] = defaultdict(set)
    ready = list(calls)
    while ready:
        rank = ready.pop()
        while place[rank] < len(calls[rank]):
            index = place[rank]
            call, key = calls[rank][index], keys[rank][index]
            arrived[key][rank] = call.op
            if _ended(call, rank, arrived[key], plan):
                ready += waiting.pop(key, set()) - {rank}
            elif call.returns or (index == len(calls[rank]) - 1 and _stays(plan, rank)):
                waiting[key].add(rank)
                break
            place[rank] += 1
    waits = {
        rank: _awaited(calls[rank][index], rank, arrived[keys[rank][index]], plan)
        for rank, index in place.items()
        if index < len(calls[rank])
    }
    return Outcome(place, waits | _joining(plan))


def _joining(plan: Plan) -> dict[int, frozenset[int]]:
    """Who waits for all to join waits for those that do not."""
    away = frozenset(one.rank for one in plan.ranks if one.stand is not Stand.JOIN)
    return {one.rank: away for one in plan.ranks if one.stand is Stand.JOIN and away}


def _stays(plan: Plan, rank: int) -> bool:
    return plan.ranks[rank].stand is Stand.COLLECTIVE


def _keys(rank: int, calls: tuple[Call, ...]) -> list[object]:
    """What each call meets: its turn in the group, or in the pair."""
    turns: dict[object, int] = defaultdict(int)
    keys: list[object] = []
    for call in calls:
        if call.op in _PAIRS:
            pair = (call.group, rank, call.peer) if call.op == "send" else (call.group, call.peer, rank)
            turns[pair, call.op] += 1
            keys.append((pair, turns[pair, call.op]))
        else:
            turns[call.group] += 1
            keys.append((call.group, turns[call.group]))
    return keys


def _ended(call: Call, rank: int, arrived: dict[int, str], plan: Plan) -> bool:
    if call.op in _PAIRS:
        return len(arrived) == 2 or call.peer < 0
    return not _awaited(call, rank, arrived, plan) and len(set(arrived.values())) == 1


def _awaited(call: Call, rank: int, arrived: dict[int, str], plan: Plan) -> frozenset[int]:
    """Who has not come to it; who came to it with another operation is waited for, too."""
    if call.op in _PAIRS:
        return frozenset({call.peer} - arrived.keys())
    absent = [member for member in plan.groups.get(call.group, ()) if arrived.get(member) != call.op]
    return frozenset(absent) - {rank}
