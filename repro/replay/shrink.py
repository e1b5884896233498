"""Smaller plans that hang the same way: fewer ranks, groups and calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from repro.replay.plan import Plan, RankPlan, Stand
from repro.replay.simulate import simulate

T = TypeVar("T")


class Way(NamedTuple):
    """How a plan hangs, whoever the ranks are.

    `culprits`: how those stand for whom others wait and who wait for nobody. `operations`: that members of one group
    have come to the same turn with different ones.
    """

    cycle: bool
    culprits: frozenset[Stand]
    operations: bool
    somebody: bool


def way_of(plan: Plan) -> Way:
    """How the plan hangs, by the rules of collectives."""
    outcome = simulate(plan)
    awaited = {on for whom in outcome.waits.values() for on in whom}
    free = awaited - outcome.waits.keys()
    at = {
        (call.group, call.op)
        for rank, index in outcome.stopped.items()
        if index < len(plan.ranks[rank].calls)
        for call in [plan.ranks[rank].calls[index]]
    }
    return Way(
        outcome.cycle(),
        frozenset(plan.ranks[rank].stand for rank in free),
        len({group for group, _ in at}) < len(at),
        bool(outcome.waits),
    )


def fold(plan: Plan, most: int) -> tuple[Plan, tuple[int, ...]]:
    """The plan with at most so many ranks, if it then hangs the same way; and which ranks of the job these are."""
    way = way_of(plan)
    everybody = tuple(range(plan.world))
    if plan.world <= most:
        return plan, everybody
    kept = _fewest(everybody, lambda left: len(left) > 1 and way_of(with_ranks(plan, left)) == way, most)
    return with_ranks(plan, kept), tuple(kept)


def shrink(plan: Plan) -> tuple[Plan, tuple[int, ...]]:
    """The fewest ranks, groups and calls that still hang the same way; and which ranks of the job these are."""
    way = way_of(plan)
    plan, kept = fold(plan, 2)
    groups = _fewest(
        sorted({call.group for one in plan.ranks for call in one.calls}),
        lambda left: way_of(with_groups(plan, left)) == way,
    )
    plan = with_groups(plan, groups)
    turns = sorted({(call.group, call.number) for one in plan.ranks for call in one.calls})
    plan = with_turns(plan, _fewest(turns, lambda left: way_of(with_turns(plan, left)) == way))
    return plan, kept


def _fewest(items: Sequence[T], good: Callable[[Sequence[T]], bool], enough: int = 1) -> list[T]:
    """Delta debugging: drop ever smaller pieces while what is left is good, until none can be spared."""
    left, piece = list(items), max(1, len(items) // 2)
    while len(left) > enough:
        dropped = False
        start = 0
        while start < len(left) and len(left) > enough:
            size = min(piece, len(left) - enough) or 1
            tried = left[:start] + left[start + size :]
            if tried and good(tried):
                left, dropped = tried, True
            else:
                start += piece
        if piece == 1 and not dropped:
            break
        piece = max(1, piece // 2)
    return left


def with_ranks(plan: Plan, kept: Sequence[int]) -> Plan:
    """The plan of these ranks alone, numbered from 0. Groups that lose all but one member go."""
    new = {old: index for index, old in enumerate(sorted(kept))}
    groups = {
        name: members
        for name, old in plan.groups.items()
        if len(members := tuple(new[rank] for rank in old if rank in new)) > 1
    }
    ranks = tuple(
        one._replace(
            rank=new[one.rank],
            calls=tuple(
                call._replace(peer=new.get(call.peer, -1))
                for call in one.calls
                if call.group in groups and (call.peer < 0 or call.peer in new)
            ),
        )
        for one in plan.ranks
        if one.rank in new
    )
    return Plan(tuple(map(_stands, ranks)), groups, plan.guessed)


def _stands(one: RankPlan) -> RankPlan:
    return one if one.calls or one.stand is not Stand.COLLECTIVE else one._replace(stand=Stand.SLEEP)


def with_groups(plan: Plan, kept: Sequence[str]) -> Plan:
    """The plan with the calls of these groups alone."""
    return _with_calls(plan, set(kept), None)


def with_turns(plan: Plan, kept: Sequence[tuple[str, int]]) -> Plan:
    """The plan with these calls alone, each a group and a number."""
    return _with_calls(plan, set(plan.groups), set(kept))


def _with_calls(plan: Plan, groups: set[str], turns: set[tuple[str, int]] | None) -> Plan:
    ranks = tuple(
        _stands(
            one._replace(
                calls=tuple(
                    call
                    for call in one.calls
                    if call.group in groups and (turns is None or (call.group, call.number) in turns)
                )
            )
        )
        for one in plan.ranks
    )
    return Plan(ranks, {name: members for name, members in plan.groups.items() if name in groups}, plan.guessed)
