"""Two reports of NCCL's RAS beside each other: a job that moves is not blamed, one that stands has its ranks named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from diagnostics.frameworks.nccl.enrich import look
from diagnostics.frameworks.nccl.ras import facts_of
from diagnostics.model import Collection, FactKind, Process
from diagnostics.transport import Options
from diagnostics.transport.answers import Answer
from diagnostics.transport.lines import AskedThere
from diagnostics.transport.reach import Progress

RANKS = {("a", 401): "worker:4", ("a", 402): "worker:5", ("a", 403): "worker:6"}
"""The communicator is a group of the job: its rank 0 is the job's rank 4."""


def member(rank: int, count: int, **more: Any) -> dict[str, Any]:
    return {"rank": rank, "host": "a", "pid": 401 + rank, "collective_counts": {"AllReduce": count}, **more}


def report(*members: dict[str, Any], missing: tuple[dict[str, Any], ...] = ()) -> str:
    one = {"hash": "0xae94", "size": 3, "ranks": list(members), "missing_ranks": list(missing)}
    return json.dumps({"nccl_version": "2.29.1", "communicators": [one]})


def test_who_is_behind_in_both_is_named_as_the_job_names_it() -> None:
    stands = report(member(0, 41), member(1, 40), member(2, 41))
    facts = facts_of(stands, stands, RANKS, 1.0)
    assert any(one.about == ("worker:5",) and "AllReduce up to number 40" in one.words for one in facts)
    assert not any("sees nothing wrong" in one.words or "moves" in one.words for one in facts)


def test_counts_that_differ_while_they_grow_blame_nobody() -> None:
    before = report(member(0, 41), member(1, 40), member(2, 41))
    after = report(member(0, 43), member(1, 42), member(2, 42))
    facts = facts_of(before, after, RANKS, 1.0)
    assert any("launched 5 operations more" in one.words for one in facts)
    assert not any(one.about for one in facts)


def test_equal_counts_that_stand_are_said_to_prove_nothing() -> None:
    stands = report(member(0, 41), member(1, 41), member(2, 41))
    assert any("does not say that nobody hangs" in one.words for one in facts_of(stands, stands, RANKS, 1.0))


def test_who_does_not_answer_is_told_also_while_others_move() -> None:
    gone = ({"rank": 2, "host": "a", "pid": 403, "status": {"unresponsive": True, "considered_dead": True}},)
    facts = facts_of(report(member(0, 1), missing=gone), report(member(0, 2), missing=gone), RANKS, 1.0)
    assert any(one.kind is FactKind.HEARTBEAT_LOST and one.about == ("worker:6",) for one in facts)


def test_an_older_release_answers_in_text_and_a_cut_report_says_nothing() -> None:
    text = "\n".join(
        (
            "  2 job processes are considered dead (unreachable via the RAS network):",
            "  Process 402 on node a managing GPU 1",
        )
    )
    assert any(one.about == ("worker:5",) for one in facts_of(text, text, RANKS, 1.0))
    whole = report(member(0, 41))
    assert facts_of(whole, whole[:-20], RANKS, 1.0) == ()


@pytest.mark.parametrize("text", [False, True])
def test_processes_of_two_hosts_that_share_an_id_keep_their_own_names(text: bool) -> None:
    """RAS calls a host by an address; loopback and a bridge that both hosts have tell none."""
    ports = ("127.0.0.1:28028", "172.17.0.1:4")
    ranks = tuple(Process(f"worker:{rank}", 41, f"gpu{rank}", listens=(*ports, f"10.0.0.{rank}:9")) for rank in (0, 1))
    told = "".join(f"  Process 41 on node {node} managing GPU 1\n" for node in ("10.0.0.1", "127.0.0.1", "10.0.0.7"))
    members = (member(0, 7, host="10.0.0.0", pid=41), member(1, 6, host="10.0.0.1", pid=41))
    said = f"  3 job processes are considered dead\n{told}" if text else report(*members)

    class Served:
        def collect(self, options: Options, progress: Progress) -> Collection:
            raise NotImplementedError

        def visit(self, do: object, processes: object, options: Options, **more: Any) -> dict[str, Answer]:
            return {"gpu0": Answer(asked=(AskedThere(41, {"first": said, "second": said}),))}

    facts = look(Collection(0.0, 0.0, ranks), Served()).processes[0].facts
    assert [one.about for one in facts if "number 6" in one.words or "node 10.0.0.1 " in one.words] == [("worker:1",)]
    assert not text or [one.about for one in facts if one.about] == [("worker:1",)], "other nodes are nobody's"
