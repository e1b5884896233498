"""From the collectives of a stuck job to a smaller one that hangs the same way, and the program of it."""

from __future__ import annotations

import ast
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.errors import MissingError
from diagnostics.model import Collection, Collective, Frame, Process, ProcessGroup, Thread
from diagnostics.stacks.position import classify_all
from repro.replay.plan import Call, Plan, RankPlan, Stand, plan_of
from repro.replay.program import program_of
from repro.replay.shrink import fold, shrink, way_of
from repro.replay.simulate import simulate


def waiting(rank: int, group: str, number: int, op: str = "all_reduce") -> RankPlan:
    """A rank that has all calls of the group but the last behind it."""
    calls = [Call(group, turn, op) for turn in range(1, number)] + [Call(group, number, op, returns=False)]
    return RankPlan(rank, tuple(calls), Stand.COLLECTIVE, "train")


def orders_differ(world: int) -> Plan:
    """Half of the ranks enter `data` first, half `model`; all are in both groups."""
    everybody = tuple(range(world))
    ranks = tuple(waiting(rank, ("data", "model")[rank % 2], 1) for rank in everybody)
    return Plan(ranks, {"data": everybody, "model": everybody})


def one_elsewhere(world: int) -> Plan:
    ranks = [waiting(rank, "default_pg", 6) for rank in range(world - 1)]
    calls = tuple(Call("default_pg", turn, "all_reduce") for turn in range(1, 6))
    return Plan((*ranks, RankPlan(world - 1, calls, Stand.READ, "fetch")), {"default_pg": tuple(range(world))})


def test_every_rank_stops_where_it_stopped_in_the_job() -> None:
    outcome = simulate(one_elsewhere(4))
    assert outcome.stopped == {0: 5, 1: 5, 2: 5, 3: 5}
    assert outcome.waits == dict.fromkeys((0, 1, 2), frozenset({3}))
    assert not outcome.cycle()
    assert simulate(orders_differ(4)).cycle()


def test_eight_ranks_in_two_groups_come_down_to_two_ranks_and_two_groups() -> None:
    plan, kept = shrink(orders_differ(8))
    assert (plan.world, len(plan.groups), len(kept)) == (2, 2, 2)
    assert way_of(plan) == way_of(orders_differ(8))


def test_of_a_thousand_ranks_that_are_alike_few_are_played_and_the_one_that_differs_is_among_them() -> None:
    plan, kept = fold(one_elsewhere(1000), 8)
    assert plan.world <= 8
    assert 999 in kept
    assert way_of(plan) == way_of(one_elsewhere(1000))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Two to six ranks with calls on two groups, in any order and number; some stand elsewhere."""
    world = draw(st.integers(2, 6))
    ranks = []
    for rank in range(world):
        order = draw(st.lists(st.sampled_from(("a", "b")), max_size=5))
        turns = {"a": itertools.count(1), "b": itertools.count(1)}
        calls = tuple(Call(group, next(turns[group]), "all_reduce") for group in order)
        inside = bool(calls) and draw(st.booleans())
        ranks.append(RankPlan(rank, calls, Stand.COLLECTIVE if inside else draw(st.sampled_from([*Stand][1:5]))))
    return Plan(tuple(ranks), dict.fromkeys("ab", tuple(range(world))))


@given(plans())
def test_what_is_smaller_hangs_the_same_way_and_its_program_can_be_read(plan: Plan) -> None:
    if not way_of(plan).somebody:
        return
    smaller, kept = shrink(plan)
    assert way_of(smaller) == way_of(plan)
    assert len(kept) == smaller.world <= plan.world
    for one in (plan, smaller):
        compile(program_of(one, "Hangs.", origin=range(one.world)), "replay.py", "exec", dont_inherit=True)


def process(rank: int, stack: tuple[Frame, ...], *calls: Collective, groups: tuple[ProcessGroup, ...] = ()) -> Process:
    return Process(
        f"worker:{rank}",
        100 + rank,
        "a",
        threads=(Thread(100 + rank, "python", stack),),
        collectives=calls,
        groups=groups,
    )


BODY = (Frame("<module>", "train.py", 40), Frame("fit", "train.py", 31))
REDUCE = (*BODY, Frame("all_reduce", "/site-packages/torch/distributed/distributed_c10d.py", 2900))
SLEEPS = (*BODY, Frame("Uploader.send_all", "train.py", 12), Frame("clock_nanosleep", "libc.so.6", native=True))


def test_the_plan_has_each_ranks_calls_in_order_and_where_it_stands() -> None:
    """Rank 0 waits in number 7 of all, rank 1 has 6 behind it and sleeps in its own function."""
    done = [Collective("default_pg", turn, "all_reduce", "1024x1024 4", "completed") for turn in range(1, 7)]
    open_one = Collective("default_pg", 7, "all_reduce", "8", "scheduled")
    groups = (ProcessGroup("default_pg", ranks=(0, 1), size=2),)
    collection = Collection(
        0.0, 0.0, (process(0, REDUCE, *done, open_one, groups=groups), process(1, SLEEPS, *done, groups=groups))
    )
    plan = plan_of(classify_all(collection))
    first, second = plan.ranks
    assert [call.number for call in first.calls] == [5, 6, 7]
    assert (first.stand, first.calls[-1].returns, first.calls[-1].elements) == (Stand.COLLECTIVE, False, 8)
    assert [call.number for call in second.calls] == [5, 6]
    assert second.stand is Stand.SLEEP
    text = program_of(plan, "Hangs.")
    names = {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}
    assert "send_all" in names
    assert len(text.splitlines()) <= 60


def test_a_watchdogs_log_is_enough() -> None:
    """Each rank's log has its last call alone; the one behind is at another number."""
    ahead = process(0, (), Collective("tp", 9, "all_gather", "16", "timed-out"))
    behind = process(1, (), Collective("tp", 8, "all_gather", "16", "timed-out"))
    plan = plan_of(classify_all(Collection(0.0, 0.0, (ahead, behind))))
    assert [[call.number for call in one.calls] for one in plan.ranks] == [[8, 9], [8]]
    assert plan.guessed


def test_a_rank_of_which_nothing_is_known_has_called_what_all_have_behind_them_and_no_more() -> None:
    """Of three ranks one was not collected; the others have called number 1, and wait in number 2."""
    groups = (ProcessGroup("default_pg", ranks=(0, 1, 2), size=3),)
    calls = (Collective("default_pg", 1, "barrier", "", "completed"), Collective("default_pg", 2, "barrier"))
    collection = Collection(0.0, 0.0, tuple(process(rank, REDUCE, *calls, groups=groups) for rank in (0, 1)))
    plan = plan_of(classify_all(collection))
    assert [[call.number for call in one.calls] for one in plan.ranks] == [[1, 2], [1, 2], [1]]
    assert plan.ranks[2].stand is Stand.EXIT and any("2" in guess for guess in plan.guessed)


JOINS = (*BODY, Frame("init_process_group", "/site-packages/torch/distributed/distributed_c10d.py", 1700))


def test_ranks_that_wait_for_one_to_join_are_played_without_it() -> None:
    """Two of three were started; which is known from what they expect."""
    given = Collection(
        0.0, 0.0, (process(0, JOINS), process(1, JOINS)), expected=tuple(f"worker:{n}" for n in range(3))
    )
    plan = plan_of(classify_all(given))
    assert [one.stand for one in plan.ranks] == [Stand.JOIN, Stand.JOIN, Stand.EXIT]
    assert simulate(plan).waits == {0: frozenset({2}), 1: frozenset({2})} and way_of(plan).somebody
    assert plan.started == (0, 1) and "for r in [0, 1]" in program_of(plan, "Hangs.")


@pytest.mark.parametrize("stand", list(Stand))
def test_every_way_to_stand_is_a_program_that_compiles(stand: Stand) -> None:
    plan = Plan((waiting(0, "default_pg", 1), RankPlan(1, (), stand, "fetch")), {"default_pg": (0, 1)})
    text = program_of(plan, "Hangs.")
    compile(text, "replay.py", "exec")
    used = {node.value.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)}  # fmt: skip
    imported = {name.name for node in ast.parse(text).body if isinstance(node, ast.Import) for name in node.names}
    assert used & {"time", "threading", "socket"} <= imported


def test_a_rank_that_waits_for_others_to_make_a_group_has_joined_the_group_of_all() -> None:
    """One of two is in a collective already: the other waits for the members of a further group."""
    ahead = process(0, REDUCE, Collective("pair", 1, "all_reduce"), groups=(ProcessGroup("pair", ranks=(0, 1)),))
    plan = plan_of(classify_all(Collection(0.0, 0.0, (ahead, process(1, JOINS)))))
    assert [one.stand for one in plan.ranks] == [Stand.COLLECTIVE, Stand.READ]
    assert not plan.forms and simulate(plan).waits == {0: frozenset({1})}


def test_without_collectives_it_says_what_to_bring() -> None:
    with pytest.raises(MissingError, match="nothing to play") as raised:
        plan_of(classify_all(Collection(0.0, 0.0, (process(0, SLEEPS),))))
    assert "Flight Recorder" in str(raised.value.hint)
