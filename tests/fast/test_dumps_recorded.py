"""What PyTorch's Flight Recorder and NCCL's RAS wrote, in the forms of all their releases."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from diagnostics.errors import EvidenceError
from diagnostics.importers import flightrecorder, rasjson
from diagnostics.model import Collective, FactKind, ProcessGroup

FRAMES = [
    {"name": "all_reduce", "filename": "/site-packages/torch/distributed/distributed_c10d.py", "line": 2696},
    {"name": "step", "filename": "/job/train.py", "line": 31},
]
COMMON: dict[str, Any] = {
    "profiling_name": "nccl:all_reduce", "input_sizes": [[4, 2]], "output_sizes": [[4, 2]], "state": "started",
    "retired": False, "frames": FRAMES,
}  # fmt: skip


def entry(**fields: Any) -> dict[str, Any]:
    return {**COMMON, **fields}


STATUS = {"last_enqueued_collective": 7, "last_started_collective": 7, "last_completed_collective": 6}
CONFIG = {"11": {"name": "11", "desc": "dp", "ranks": "[0, 4]"}}
OLDEST = [entry(pg_id=3, seq_id=7)]  # 2.1 and 2.2
FIRST = {"version": "1.0", "entries": [entry(pg_id=3, seq_id=7)]}
NAMED = {"version": "2.0", "entries": [entry(pg_id=3, process_group=("11", "dp"), collective_seq_id=7, p2p_seq_id=0)]}
GROUPS = {**NAMED, "version": "2.4", "pg_config": CONFIG, "pg_status": {"3": STATUS}}
NEWEST = {
    **GROUPS, "version": "2.10", "comm_lib_version": "2.27.5",
    "entries": [
        entry(pg_id=3, record_id=0, process_group=("11", "dp"), collective_seq_id=7, p2p_seq_id=2, is_p2p=False,
              op_id=9, time_created_ns=1_700_000_000_500_000_000, timeout_ms=600_000, thread_name="python"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("written", "group"),
    [(OLDEST, "3"), (FIRST, "3"), (NAMED, "dp (11)"), (GROUPS, "dp (11)"), (NEWEST, "dp (11)")],
    ids=["2.1", "1.0", "2.0", "2.4", "2.10"],
)
def test_a_dump_of_any_version_says_where_the_rank_is(written: Any, group: str) -> None:
    (collective,) = flightrecorder.parse(pickle.dumps(written, 2)).collectives
    assert (collective.group, collective.seq, collective.op, collective.sizes) == (group, 7, "all_reduce", "4x2")
    assert collective.state == "started" and collective.frames[0].function == "step", "outermost first"


def test_its_json_says_the_same() -> None:
    of_pickle, of_json = (flightrecorder.parse(data) for data in (pickle.dumps(NEWEST, 2), json.dumps(NEWEST).encode()))
    assert of_pickle == of_json and of_json.ranks == (0, 4)
    assert of_json.groups == (
        ProcessGroup("dp (11)", "11", "dp", (0, 4), 2, enqueued=7, started=7, completed=6),
    )
    (collective,) = of_json.collectives
    assert (collective.called_at, collective.timeout) == (1_700_000_000.5, 600.0)


def test_a_container_in_place_of_a_name_is_not_written_out() -> None:
    """GIVEN lists that hold one list twice, sixty deep: as text they would fill any memory."""
    deep: list[Any] = []
    for _ in range(60):
        deep = [deep, deep]
    strange = entry(
        pg_id=deep, process_group=(deep, deep), collective_seq_id=7, state=deep, input_sizes=[deep, [deep, 4]],
        frames=[{"name": deep, "filename": deep, "line": deep}],
    )  # fmt: skip
    config = {"0": {"name": deep, "desc": deep, "ranks": deep}, "1": {"name": deep, "ranks": [deep, 1]}}
    found = flightrecorder.parse(pickle.dumps({"entries": [strange], "pg_config": config}, 2))
    (collective,) = found.collectives
    assert (collective.group, collective.seq, collective.sizes) == ("", 7, "scalar 4") and found.ranks == (1,)


def test_point_to_point_operations_are_kept_apart() -> None:
    """They count by themselves, and a send is no mismatch of the other's receive."""
    written = {"entries": [entry(process_group=("0", "default_pg"), collective_seq_id=7, p2p_seq_id=2, is_p2p=True,
                                 profiling_name="nccl:send 0->1")]}  # fmt: skip
    assert flightrecorder.parse(pickle.dumps(written, 2)).collectives[0] == Collective(
        "default_pg", 2, "send 0->1", "4x2", "started", frames=flightrecorder.parse(
            pickle.dumps(NAMED, 2)).collectives[0].frames, p2p=True,
    )  # fmt: skip


def test_what_never_completed_is_kept_beside_the_newest() -> None:
    entries = [entry(process_group=("0", "default_pg"), collective_seq_id=n, retired=n != 5) for n in range(1, 400)]
    kept = flightrecorder.parse(pickle.dumps({"entries": entries}, 2)).collectives
    assert {5, 399} <= {one.seq for one in kept} and len(kept) <= 2 * flightrecorder.KEPT


def ras(*ranks: dict[str, Any], missing: tuple[dict[str, Any], ...] = ()) -> str:
    communicator = {"hash": "0xae", "size": 4, "ranks": list(ranks), "missing_ranks": list(missing)}
    return json.dumps({"nccl_version": "2.29.1", "communicators": [communicator]}, indent=2)


def ras_rank(rank: int, count: int, **status: Any) -> dict[str, Any]:
    return {"rank": rank, "host": "10.0.0.1", "pid": 70 + rank, "status": status,
            "collective_counts": {"AllReduce": count}}  # fmt: skip


def test_ras_tells_who_is_behind_and_who_met_an_error() -> None:
    facts = rasjson.parse(ras(ras_rank(0, 9), ras_rank(1, 8), ras_rank(2, 9, async_error=6), ras_rank(3, 9)).encode())
    behind = [fact for fact in facts if fact.kind is FactKind.COUNTS and fact.about == ("worker:1",)]
    failed = [fact for fact in facts if fact.kind is FactKind.ERROR]
    assert "up to number 8" in behind[0].words
    assert "process 72 on 10.0.0.1" in failed[0].words and "Remote process error" in failed[0].words


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ({"unresponsive": True, "considered_dead": True}, FactKind.HEARTBEAT_LOST),
        ({"unresponsive": True, "considered_dead": False}, FactKind.HEARTBEAT_LOST),
        ({"unresponsive": False, "considered_dead": False}, FactKind.STUCK),
    ],
)
def test_a_missing_rank_is_dead_silent_or_no_member(status: dict[str, bool], kind: FactKind) -> None:
    silent = {"rank": 1, "host": "10.0.0.2", "pid": 71, "nvml_dev": 1, "status": status}
    written = ras(ras_rank(0, 9), missing=(silent,))
    as_2_28_9 = written.replace('"nvml_dev": 1,', '"nvml_dev": 1')
    assert as_2_28_9 != written
    for text in (written, as_2_28_9):
        (missing,) = (fact for fact in rasjson.parse(text.encode()) if fact.about == ("worker:1",))
        assert missing.kind is kind and missing.values["host"] == "10.0.0.2"


def test_json_that_is_cut_is_refused() -> None:
    with pytest.raises(EvidenceError):
        rasjson.parse(ras(ras_rank(0, 9)).encode()[:-20])
