"""Ranks times groups: who waits for whom by the numbers of collectives, circles across groups, and partial evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
import pytest
from test_causes_by_family import DOWNLOADS, GLOO, IN_ALL_REDUCE, MAIN, RESTS, SITE, process, stack, verdict

from diagnostics.analyze.facts import Facts
from diagnostics.analyze.process_groups import circles, groups_of
from diagnostics.analyze.waits import find_waits
from diagnostics.causes import group_order
from diagnostics.model import (
    Collection,
    Collective,
    Frame,
    Partner,
    Process,
    ProcessGroup,
    Role,
    Sample,
    State,
    ThreadSample,
)
from diagnostics.pipeline import explain
from diagnostics.stacks.position import classify, main_position

Calls = dict[str, tuple[int, bool]]
"""Label of a group -> the newest number that was called, and whether it has completed."""
Names = tuple[str, ...]
FIT = Frame("fit", "/home/ada/job/engine.py", 31)


def rank(index: int, calls: Calls, members: Mapping[str, tuple[int, ...]], dump: bool = False) -> Process:
    """A rank that stands in all_reduce of what is open, or stands elsewhere where nothing is."""
    collectives = tuple(
        Collective(group, number, "all_reduce", state="completed" if done or number < newest else "scheduled",
                   frames=(FIT,), called_at=100.0 + number)
        for group, (newest, done) in calls.items()
        for number in range(max(1, newest - 3), newest + 1)
    )  # fmt: skip
    known = tuple(
        ProcessGroup(group, group, group, ranks, len(ranks), ranks.index(index))
        for group, ranks in members.items()
        if index in ranks
    )
    waits = any(not done for _, done in calls.values())
    stacks = () if dump else (IN_ALL_REDUCE if waits else DOWNLOADS,)
    return process(f"worker:{index}", *stacks, pid=100 + 10 * index, collectives=collectives, groups=known)


def ring(size: int, waits: Iterable[int] | None = None) -> list[Process]:
    """Group i has the ranks i and i + 1; each rank enters its own first, which its neighbour does not."""
    members = {f"pair {i}": tuple(sorted((i, (i + 1) % size))) for i in range(size if size > 2 else 2)}
    inside = set(range(size) if waits is None else waits)
    return [
        rank(i, {f"pair {i}": (4, i not in inside), f"pair {(i - 1) % len(members)}": (3, True)}, members)
        for i in range(size)
    ]


@pytest.mark.parametrize("size", [2, 3, 8, 64])
def test_a_circle_across_groups_is_proven_of_any_length(size: int) -> None:
    """GIVEN that each rank waits in a group to which the next has not come, THEN all are in it, each with its place."""
    (circle,) = circles(groups_of(ring(size)))
    assert [hop.rank for hop in circle] == [f"worker:{i}" for i in range(size)]
    assert all((hop.collective.seq, hop.last) == (4, 3) for hop in circle)
    assert verdict(*ring(size)) == ("group-order", "group-order")


def test_a_grid_needs_no_order_of_its_groups() -> None:
    """GIVEN two rows and two columns, and ranks that begin with either, THEN the four are named with their places."""
    members = {"row 0": (0, 1), "row 1": (2, 3), "column 0": (0, 2), "column 1": (1, 3)}
    first = {0: "row 0", 1: "column 1", 2: "column 0", 3: "row 1"}
    mine = {i: [name for name, ranks in members.items() if i in ranks] for i in range(4)}
    ranks = [rank(i, {name: (7, False) if name == first[i] else (6, True) for name in mine[i]}, members) for i in mine]
    (circle,) = circles(groups_of(ranks))
    assert [hop.rank for hop in circle] == ["worker:0", "worker:1", "worker:3", "worker:2"]
    diagnosis = explain(Collection(1.0, 2.0, tuple(ranks)))[1]
    finding = diagnosis.findings[0]
    assert finding.cause == "group-order"
    assert diagnosis.standing == "worker:0, worker:1, worker:3, worker:2 wait for each other in a circle"
    assert sum(one.fact.startswith("called from fit (engine.py:31)") for one in finding.evidence) == 4


@pytest.mark.parametrize("size", [2, 3, 8])
def test_one_that_waits_in_none_breaks_the_circle(size: int) -> None:
    """WHEN one of them is elsewhere, THEN it is where the waiting ends, and no order of groups is blamed."""
    ranks = ring(size, waits=range(1, size))
    assert not circles(groups_of(ranks))
    cause, _ = verdict(*ranks)
    found = explain(Collection(1.0, 2.0, tuple(ranks)))[1]
    assert cause == "rank-elsewhere" and found.culprits[0].rank == "worker:0"
    assert any("has called 3 collectives" in one.fact for one in found.findings[0].evidence)


def test_ranks_that_move_wait_for_each_other_in_no_circle() -> None:
    """GIVEN records that were read one after the other of a job that runs, THEN what looks like a circle is none."""
    ranks = tuple(msgspec.structs.replace(one, state=State.PROGRESSING) for one in ring(3))
    case = group_order.examine(Facts(Collection(1.0, 2.0, ranks)))
    assert case is None or case.confidence < 0.5


def test_who_is_behind_in_no_group_is_not_waited_for() -> None:
    """GIVEN a rank that is no member, THEN those who wait in the group wait for its members alone."""
    members = {"default_pg": (0, 1, 2), "tp": (0, 1)}
    ranks = [
        rank(0, {"default_pg": (5, True), "tp": (4, False)}, members),
        rank(1, {"default_pg": (5, True), "tp": (3, True)}, members),
        rank(2, {"default_pg": (6, False)}, members),
    ]
    waits = {(wait.rank, wait.on) for wait in find_waits(Collection(1.0, 2.0, tuple(ranks)))}
    assert waits == {("worker:0", "worker:1"), ("worker:2", "worker:0"), ("worker:2", "worker:1")}
    assert explain(Collection(1.0, 2.0, tuple(ranks)))[1].culprits[0].rank == "worker:1"


def test_of_some_ranks_of_a_group_the_rest_is_said_to_be_unknown() -> None:
    """GIVEN two of four ranks that stand alike, THEN the other two are where to look, and nothing is said of them."""
    members = {"default_pg": (0, 1, 2, 3)}
    ranks = tuple(rank(index, {"default_pg": (9, False)}, members) for index in (0, 2))
    (group,) = groups_of(ranks)
    assert group.coverage == "2 of 4 ranks" and group.unseen == ("worker:1", "worker:3")
    waits = find_waits(Collection(1.0, 2.0, ranks))
    assert {wait.on for wait in waits} == {"worker:1", "worker:3"} and "not seen at all" in waits[0].why


def test_records_alone_say_who_did_not_come() -> None:
    """GIVEN dumps of three of four ranks without stacks, THEN the one that called less is named."""
    members = {"default_pg": (0, 1, 2, 3)}
    calls = {0: (9, False), 1: (9, False), 2: (8, True)}
    ranks = [rank(index, {"default_pg": call}, members, dump=True) for index, call in calls.items()]
    found = explain(Collection(1.0, 2.0, tuple(ranks)))[1]
    assert found.findings[0].cause == "rank-elsewhere" and "worker:2" in found.findings[0].title
    assert {wait.on for wait in found.waits} == {"worker:2"}
    assert any("3 of 4 ranks" in what for what in found.findings[0].missing)


def test_ranks_that_only_differ_in_how_far_they_came_called_nothing_wrong() -> None:
    """GIVEN one that is behind, THEN it is not said that they came to different operations."""
    members = {"default_pg": (0, 1)}
    ranks = [rank(0, {"default_pg": (9, False)}, members), rank(1, {"default_pg": (8, True)}, members)]
    found = explain(Collection(1.0, 2.0, tuple(ranks)))[1]
    assert "collective-mismatch" not in {finding.cause for finding in found.findings}
    assert found.findings[0].cause == "rank-elsewhere"


def test_who_makes_one_more_group_waits_for_those_that_went_on_without() -> None:
    """GIVEN a rank in new_group and one in a collective after it, THEN they wait for each other in different ones."""
    members = {"default_pg": (0, 1)}
    new_group = f"new_group {SITE}torch/distributed/distributed_c10d.py:5700"
    makes = process(
        "worker:0",
        stack(MAIN, new_group, "c10d::TCPStore::wait @libtorch_cpu.so"),
        collectives=rank(0, {"default_pg": (1, True)}, members).collectives,
        groups=(ProcessGroup("default_pg", "0", "default_pg", (0, 1), 2, 0),),
    )
    ranks = (makes, rank(1, {"default_pg": (2, False)}, members))
    assert verdict(*ranks)[0] == "collective-mismatch"
    waits = {(wait.rank, wait.on) for wait in find_waits(Collection(1.0, 2.0, ranks))}
    assert waits == {("worker:0", "worker:1"), ("worker:1", "worker:0")}


def test_who_receives_what_nobody_sends_has_parted_from_those_in_a_collective() -> None:
    members = {"default_pg": (0, 1)}
    receives = process(
        "worker:0", stack(MAIN, f"recv {SITE}torch/distributed/distributed_c10d.py:2500", GLOO),
        collectives=rank(0, {"default_pg": (1, True)}, members).collectives,
    )  # fmt: skip
    assert verdict(receives, rank(1, {"default_pg": (2, False)}, members))[0] == "collective-mismatch"


def paired(index: int, operation: str, other: int) -> Process:
    """A rank that stands in `send` or `recv` with another one."""
    stands = stack(MAIN, f"{operation} {SITE}torch/distributed/distributed_c10d.py:2500", GLOO)
    partners = (Partner(100 + 10 * index, operation, other),)
    return process(f"worker:{index}", stands, pid=100 + 10 * index, partners=partners)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_a_pipeline_that_all_receive_from_is_proven(size: int) -> None:
    """GIVEN stages that each receive from the one before, and nobody sends, THEN the circle is named."""
    ranks = [paired(index, "recv", (index - 1) % size) for index in range(size)]
    found = explain(Collection(1.0, 2.0, tuple(ranks)))[1]
    assert found.verdict == "collective-mismatch" and found.hung
    assert {wait.on for wait in found.waits} == {f"worker:{index}" for index in range(size)}
    assert sum("is in no call that ends it" in one.fact for one in found.findings[0].evidence) == size


def test_a_send_and_its_receive_wait_for_nobody_of_the_two() -> None:
    """GIVEN a rank that sends to one that receives from it, THEN neither of them has parted ways."""
    ranks = (paired(0, "send", 1), paired(1, "recv", 0))
    found = explain(Collection(1.0, 2.0, ranks))[1]
    assert "collective-mismatch" not in {one.cause for one in found.findings if one.confidence > 0.5}
    assert not [wait for wait in found.waits if "is in no" in wait.why]


def test_members_that_do_not_know_the_others_belong_to_the_group_of_that_name() -> None:
    members = {"default_pg": (0, 1)}
    ranks = [rank(0, {"default_pg": (9, False)}, members), rank(1, {"default_pg": (8, True)}, {})]
    (group,) = groups_of(ranks)
    assert set(group.members) == {"worker:0", "worker:1"} and not group.unseen


def test_who_forms_a_group_anew_waits_for_a_rank_that_does_not_come_to_it() -> None:
    """GIVEN ranks that gave up their group, one of which forms a new one, THEN the other is named, and no data."""
    joins = stack(
        MAIN,
        "again /home/ada/job/engine.py:55",
        f"init_process_group {SITE}torch/distributed/distributed_c10d.py:1900",
        "c10d::TCPStore::wait @libtorch_cpu.so",
    )
    ranks = (process("worker:0", RESTS, watched=60.0), process("worker:1", joins, pid=200, watched=60.0))
    found = explain(Collection(1.0, 2.0, ranks))[1]
    assert found.culprits[0].rank == "worker:0"
    assert found.verdict == "rank-elsewhere" and found.hung


IN_WAIT = stack(MAIN, "forward /home/ada/job/model.py:25", "c10d::Work::wait @libtorch_cpu.so", GLOO)


@pytest.mark.parametrize(
    ("open_ones", "named"), [(("all_gather",), "all_gather"), (("all_gather", "all_reduce"), "Work.wait")]
)
def test_a_wait_for_what_was_started_is_called_by_what_alone_is_under_way(open_ones: Names, named: str) -> None:
    called = tuple(Collective("default_pg", 7 + n, op, state="scheduled") for n, op in enumerate(open_ones))
    main = main_position(classify(process("worker:0", IN_WAIT, collectives=called)))
    assert main is not None and main.operation == named


def test_join_stands_in_a_collective_for_ranks_that_have_data_left() -> None:
    """GIVEN a rank that is done with its data within `join()`, THEN it is in a collective, and not elsewhere."""
    joins = stack(
        MAIN,
        "train /home/ada/job/engine.py:55",
        f"__exit__ {SITE}torch/distributed/algorithms/join.py:274",
        f"main_hook {SITE}torch/nn/parallel/distributed.py:452",
        f"_match_all_reduce_for_bwd_pass {SITE}torch/nn/parallel/distributed.py:1982",
        "c10::ivalue::Future::wait @libtorch_cpu.so",
        "pthread_cond_wait @libc.so.6",
    )
    main = main_position(classify(process("worker:1", joins)))
    assert main is not None and main.has(Role.COLLECTIVE) and main.place.startswith("train")


def formed_anew(index: int, calls: Iterable[tuple[int, float, str]], stands: tuple[Frame, ...]) -> Process:
    """A rank that called these (number, at, operation) of the group of all; the last one is open where it is in one."""
    *before, last = [Collective("default_pg", n, op, state="completed", called_at=at) for n, at, op in calls]
    if stands is IN_ALL_REDUCE:
        last = msgspec.structs.replace(last, state="scheduled")
    known = (ProcessGroup("default_pg", "0", "default_pg", (0, 1), 2, index),)
    name, pid = f"worker:{index}", 100 + 10 * index
    return process(name, stands, pid=pid, collectives=(*before, last), groups=known, watched=60.0)


OLD = [(number, 100.0 + number, "all_reduce") for number in range(1, 42)]


def test_numbers_of_a_group_that_was_given_up_say_nothing_of_the_new_one() -> None:
    """GIVEN a rank in collective 1 of a group formed anew, and one that is at rest since 41 of the old one."""
    ranks = (formed_anew(0, OLD, RESTS), formed_anew(1, [*OLD[:40], (1, 200.0, "broadcast")], IN_ALL_REDUCE))
    found = explain(Collection(1.0, 2.0, ranks))[1]
    assert [(wait.rank, wait.on) for wait in found.waits] == [("worker:1", "worker:0")]
    assert found.culprits[0].rank == "worker:0"
    assert not any("came to" in fact.fact for one in found.findings for fact in one.evidence), "both called number 1"


def test_ranks_of_a_group_formed_anew_are_compared_in_the_new_one() -> None:
    """GIVEN ranks that both have the new group, of one of which the old numbers are still known."""
    new = [(number, 200.0 + number, "all_reduce") for number in range(1, 10)]
    ranks = (formed_anew(0, [*OLD, *new], IN_ALL_REDUCE), formed_anew(1, new[:8], RESTS))
    (group,) = groups_of(ranks)
    assert {rank: member.last for rank, member in group.members.items()} == {"worker:0": 9, "worker:1": 8}


@pytest.mark.parametrize(("stood", "hung"), [(25.0, None), (900.0, True)])
def test_a_rank_whose_others_nobody_looked_at_is_not_soon_called_hung(stood: float, hung: bool | None) -> None:
    """GIVEN one rank of two in a barrier for a while, THEN the other may evaluate; not for a quarter of an hour."""
    members = {"default_pg": (0, 1)}
    one = rank(1, {"default_pg": (9, False)}, members)
    looks = tuple(
        Sample(at, tuple(ThreadSample(t.tid, "x", "S", 1.0, 5, 5, last_ran=stood) for t in one.threads))
        for at in (1.0, 2.0)
    )
    one = msgspec.structs.replace(one, samples=looks, state=State.UNKNOWN)
    judged, diagnosis = explain(Collection(0.0, 0.0, (one,)))
    assert diagnosis.hung is hung, judged.processes[0].state_why
    assert ("worker:0, which was not looked at" in judged.processes[0].state_why) is (hung is None)
    assert diagnosis.next_evidence[0].startswith("the rest of the job: 1 of 2 ranks")
