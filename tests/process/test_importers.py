"""Flight recorders' pickles are read without running them; what frameworks say in logs becomes collectives."""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Answer
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.collector.plain_pickle import Refused, plain_value

Call = Callable[..., Answer]

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=30,
)


@given(plain, st.sampled_from([2, 3, 4, 5]))
def test_plain_values_come_out_as_they_went_in(value: Any, protocol: int) -> None:
    assert plain_value(pickle.dumps(value, protocol)) == value


@given(plain, st.data())
def test_a_cut_or_broken_pickle_is_refused_or_plain(value: Any, data: st.DataObject) -> None:
    pickled = bytearray(pickle.dumps(value, 2))
    at = data.draw(st.integers(2, len(pickled) - 1))
    if data.draw(st.booleans()):
        pickled[at] = data.draw(st.integers(0, 255))
    else:
        del pickled[at:]
    with contextlib.suppress(Refused):
        plain_value(bytes(pickled))


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_calls_something_is_not_opened(lastbatch: Call, tmp_path: Path) -> None:
    made = tmp_path / "made"
    (tmp_path / "nccl_trace_rank_0").write_bytes(pickle.dumps({"entries": [Evil(made)]}, 2))
    answer = lastbatch("diagnose", "nccl_trace_rank_0")
    assert answer.code == 2 and "GLOBAL" in answer.err and answer.err.count("\n") == 1
    assert not made.exists()


def test_shared_containers_that_unfold_without_end_cost_nothing(lastbatch: Call, tmp_path: Path) -> None:
    value: list[Any] = []
    for _ in range(60):
        value = [value, value]
    loop: list[Any] = []
    loop.append(loop)
    entry = {"collective_seq_id": 1, "profiling_name": "nccl:all_reduce", "input_sizes": value, "frames": loop}
    (tmp_path / "nccl_trace_rank_0").write_bytes(pickle.dumps({"entries": [entry]}, 2))
    assert lastbatch("diagnose", "nccl_trace_rank_0", "--json").json["verdict"] == "unknown"


def recording(*operations: tuple[str, str]) -> bytes:
    """As PyTorch 2.x writes it: operation and state of each collective, in their order."""
    entries = [
        {
            "process_group": ("0", "default_pg"), "collective_seq_id": number, "profiling_name": f"nccl:{op}",
            "input_sizes": [[4, 2]], "state": state, "is_p2p": False,
            "frames": [{"name": "validate", "filename": "train.py", "line": 30 + number}],
        }
        for number, (op, state) in enumerate(operations, 1)
    ]  # fmt: skip
    return pickle.dumps({"version": "2.10", "pg_config": {"0": {"ranks": "[0, 1]"}}, "entries": entries}, 2)


DONE, WAITS = ("all_reduce", "completed"), ("all_reduce", "started")


def test_ranks_that_came_to_different_collectives(lastbatch: Call, tmp_path: Path) -> None:
    (tmp_path / "nccl_trace_rank_0").write_bytes(recording(DONE, DONE, WAITS))
    (tmp_path / "nccl_trace_rank_1").write_bytes(recording(DONE, DONE, ("broadcast", "started")))
    answer = lastbatch("diagnose", "nccl_trace_rank_0", "nccl_trace_rank_1", "--json").json
    assert answer["verdict"] == "collective-mismatch"
    told = " ".join(row["fact"] for row in answer["findings"][0]["evidence"])
    assert "collective 3" in told and "broadcast" in told and "validate (train.py:33)" in told


def test_a_rank_that_did_not_come_is_named_and_why_it_did_not_is_not(lastbatch: Call, tmp_path: Path) -> None:
    (tmp_path / "nccl_trace_rank_0").write_bytes(recording(DONE, DONE, WAITS))
    (tmp_path / "nccl_trace_rank_1").write_bytes(recording(DONE, DONE))
    answer = lastbatch("diagnose", "nccl_trace_rank_0", "nccl_trace_rank_1", "--json").json
    assert answer["verdict"] == "rank-elsewhere" and "worker:1" in answer["summary"]
    assert any("worker:1" in wanted for wanted in answer["findings"][0]["missing"])
    assert [culprit["rank"] for culprit in answer["culprits"]] == ["worker:1"]


def test_dumps_show_a_circle_of_ranks_in_several_groups(lastbatch: Call, tmp_path: Path) -> None:
    """GIVEN dumps of three ranks, each of which waits in a group for the next, THEN the order of groups is to blame."""
    for rank in range(3):
        entries = [
            {
                "process_group": (str(group), f"pair {group}"), "collective_seq_id": number, "p2p_seq_id": 0,
                "profiling_name": "nccl:all_reduce", "input_sizes": [[4]], "state": state, "is_p2p": False,
                "time_created_ns": 1_790_000_000 * 10**9 + number,
                "frames": [{"name": f"sync_{group}", "filename": "train.py", "line": 30 + group}],
            }
            for group in (rank, (rank + 2) % 3)
            for number, state in ((1, "completed"), (2, "started"))
            if number == 1 or group == rank
        ]  # fmt: skip
        pairs = {g: sorted((g, (g + 1) % 3)) for g in (rank, (rank + 2) % 3)}
        config = {str(g): {"name": str(g), "desc": f"pair {g}", "ranks": str(ranks)} for g, ranks in pairs.items()}
        dump = pickle.dumps({"version": "2.10", "pg_config": config, "entries": entries}, 2)
        (tmp_path / f"nccl_trace_rank_{rank}").write_bytes(dump)
    answer = lastbatch("diagnose", *(f"nccl_trace_rank_{rank}" for rank in range(3)), "--json").json
    assert answer["verdict"] == "group-order"
    told = " ".join(row["fact"] for row in answer["findings"][0]["evidence"])
    assert all(f"sync_{rank} (train.py:{30 + rank})" in told for rank in range(3))


def test_the_same_collectives_everywhere_are_no_mismatch(lastbatch: Call, tmp_path: Path) -> None:
    for rank in (0, 1):
        (tmp_path / f"nccl_trace_rank_{rank}").write_bytes(recording(DONE, WAITS))
    answer = lastbatch("diagnose", "nccl_trace_rank_0", "nccl_trace_rank_1", "--json").json
    assert answer["verdict"] == "unknown" and not answer["findings"]


WATCHDOG = (
    "[rank{rank}]:[E321 02:07:08.408271257 ProcessGroupNCCL.cpp:607] [Rank {rank}] Watchdog caught collective "
    "operation timeout: WorkNCCL(SeqNum={seq}, OpType={op}, NumelIn=9, NumelOut=9, Timeout(ms)=600000) ran for "
    "600060 milliseconds before timing out.\n"
)


def test_watchdogs_of_ranks_that_waited_in_different_operations(lastbatch: Call, tmp_path: Path) -> None:
    """GIVEN one job's log in which two ranks gave up the same number in different operations."""
    log = "".join(WATCHDOG.format(rank=rank, seq=1580, op=op) for rank, op in ((0, "ALLREDUCE"), (1, "ALLGATHER")))
    (tmp_path / "job.log").write_text("step 1\n" + log)
    answer = lastbatch("diagnose", "job.log", "--json").json
    assert answer["verdict"] == "collective-mismatch", answer
    assert {row["rank"] for row in answer["ranks"]} == {"worker:0", "worker:1"}


HOROVOD = """\
[2026-01-05 12:00:00.123: W horovod/common/stall_inspector.cc:107] One or more tensors were submitted to be reduced, \
gathered or broadcasted by subset of ranks and are waiting for remainder of ranks for more than 60 seconds.
Missing ranks:
1: [DistributedAllreduce_grad_w, DistributedAllreduce_grad_b]
3: [DistributedAllreduce_grad_w]
"""


def test_ranks_that_horovod_misses_are_asked_for(lastbatch: Call, tmp_path: Path) -> None:
    (tmp_path / "rank0.log").write_text(HOROVOD)
    answer = lastbatch("diagnose", "rank0.log", "--json").json
    assert answer["verdict"] == "collective-mismatch"
    missing = {row["rank"] for row in answer["ranks"] if row["state"] == "unreachable"}
    assert missing == {"worker:1", "worker:3"}
    assert {rank for fact in answer["facts"] for rank in fact["about"]} == {"worker:1", "worker:3"}


@pytest.mark.parametrize("signal", ["KeyboardInterrupt", "ValueError: no"])
def test_only_an_interruption_shows_where_the_program_stood(lastbatch: Call, tmp_path: Path, signal: str) -> None:
    trace = f'Traceback (most recent call last):\n  File "train.py", line 3, in step\n    wait()\n{signal}\n'
    (tmp_path / "worker-1.log").write_text("DataLoader worker (pid 3) is killed by signal: Killed.\n" + trace)
    answer = lastbatch("diagnose", "worker-1.log", "--json").json
    assert [row["rank"] for row in answer["ranks"]] == ["worker:1"]
    assert bool(answer["ranks"][0]["stacks_from"]) == (signal == "KeyboardInterrupt")
