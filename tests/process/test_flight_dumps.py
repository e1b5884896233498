"""Dumps of PyTorch's Flight Recorder that lie where a rank writes them: read where they are its own, and never run."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diagnostics.collector.sources.flight_dumps import dump_of, places
from diagnostics.frameworks.flight_dumps import enrich
from diagnostics.model import Collection, Process, Sample, ThreadSample, Versions
from diagnostics.transport import Here, Target

ENTRY: dict[str, Any] = {
    "process_group": ("0", "default_pg"), "collective_seq_id": 7, "profiling_name": "nccl:all_reduce",
    "input_sizes": [[4]], "state": "scheduled", "retired": False, "time_created_ns": 1_700_000_000_000_000_000,
    "frames": [{"name": "step", "filename": "/job/train.py", "line": 31}],
}  # fmt: skip
GROUP = {"name": "0", "desc": "default_pg", "ranks": "[0, 1]"}
DUMP = {"version": "2.9", "pg_config": {"0": GROUP}, "entries": [ENTRY]}


@pytest.fixture
def rank(tmp_path: Path) -> Iterator[int]:
    """The id of a process whose home is this folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "TORCH_"))}
    command = [sys.executable, "-c", "import threading; print('ready', flush=True); threading.Event().wait()"]
    with subprocess.Popen(command, env={**environment, "HOME": str(tmp_path)}, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline()
        yield process.pid
        process.kill()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / ".cache" / "torch" / "comm_lib_trace_rank_1"
    path.parent.mkdir(parents=True)
    return path


def standing(pid: int, last_ran: float) -> Process:
    sample = Sample(1.0, (ThreadSample(pid, "python", "S", 1.0, 5, 5, last_ran=last_ran),))
    return Process("worker:1", pid, socket.gethostname(), samples=(sample,), versions=Versions(framework="torch"))


def test_a_dump_that_a_rank_has_written_tells_of_its_collectives(rank: int, place: Path) -> None:
    """GIVEN a rank that has not run since it wrote its dump, THEN that tells, and the answer says from where."""
    place.write_bytes(pickle.dumps(DUMP, 2))
    here = Here((Target(rank, "worker:1"),))
    (stands,) = enrich.look(Collection(1.0, 2.0, (standing(rank, 1e6),)), here).processes
    assert [(one.group, one.seq, one.op) for one in stands.collectives] == [("default_pg", 7, "all_reduce")]
    assert stands.collectives[0].frames[0].function == "step" and stands.groups[0].ranks == (0, 1)
    assert str(place) in stands.framework_why_not
    (moves,) = enrich.look(Collection(1.0, 2.0, (standing(rank, 0.0),)), here).processes
    assert not moves.collectives and "has run since" in moves.framework_why_not


def test_only_its_own_files_are_read(rank: int, place: Path) -> None:
    """GIVEN a file from before it started, a link or a pipe in that place, THEN none is opened for its content."""
    assert places(rank, 1)[0] == str(place)
    place.write_bytes(pickle.dumps(DUMP, 2))
    os.utime(place, (1_000_000_000, 1_000_000_000))
    assert dump_of(rank, 1) == {}
    other = place.with_name("other")
    other.write_bytes(pickle.dumps(DUMP, 2))
    place.unlink()
    place.symlink_to(other)
    assert dump_of(rank, 1) == {}
    place.unlink()
    os.mkfifo(place)
    assert dump_of(rank, 1) == {}


class Evil:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


def test_a_pickle_that_names_code_is_refused(rank: int, place: Path) -> None:
    place.write_bytes(pickle.dumps({"entries": [Evil(str(place) + "-made")]}, 2))
    assert "no plain value" in dump_of(rank, 1)["why_not"]
    assert not Path(str(place) + "-made").exists()


def test_what_cannot_be_told_on_is_left_out(rank: int, place: Path) -> None:
    """GIVEN half of a surrogate pair and a number of no machine, THEN the dump can be told on all the same."""
    strange = {**ENTRY, "profiling_name": "nccl:\ud800reduce", "timeout_ms": 1 << 70}
    place.write_bytes(pickle.dumps({**DUMP, "entries": [strange, {**ENTRY, "collective_seq_id": 1 << 80}]}, 2))
    (stands,) = enrich.look(Collection(1.0, 2.0, (standing(rank, 1e6),)), Here((Target(rank, "worker:1"),))).processes
    assert [(one.op, one.timeout) for one in stands.collectives] == [("?reduce", -1.0)]
