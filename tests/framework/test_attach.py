"""Attach to a real job that hangs, and what can be done with the bundle afterwards."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from conftest import Answer

from diagnostics import bundle
from diagnostics.collector import procfs
from diagnostics.pipeline import explain
from repro.cluster import Cluster

CAUSE = "tf-late-recv-after-abort"
Call = Callable[..., Answer]


@pytest.fixture
def pids(stuck_job: Cluster) -> list[int]:
    return [member.pid for member in stuck_job.members]


def test_attach_names_the_cause_and_leaves_the_job_as_it_was(lastbatch: Call, pids: list[int], tmp_path: Path) -> None:
    """GIVEN only process ids, THEN recorders are found by themselves, and every process runs on."""
    answer = lastbatch("attach", *pids, "--json", "--out", "job.tar.zst")
    found = answer.json
    assert answer.code == 1, answer.err
    assert found["verdict"] == "rendezvous-abort-race"
    assert found["findings"][0]["cause"] == CAUSE and found["findings"][0]["confidence"] > 0.5
    ranks = {row["rank"]: row for row in found["ranks"]}
    assert set(ranks) == {"worker:0", "ps:0", "ps:1", "ps:2", "ps:3"}
    assert ranks["worker:0"]["state"] == "hung" and ranks["ps:1"]["state"] == "idle"
    assert all(row["stacks_from"] == "py-spy+unwind" and row["pause_ms"] < 25 for row in ranks.values())
    assert all(procfs.state_of(pid) in ("S", "R") for pid in pids)
    written = tmp_path / "job.tar.zst"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    again = lastbatch("diagnose", "job.tar.zst", "--json")
    assert (again.code, again.json["verdict"]) == (1, "rendezvous-abort-race")


def test_a_job_that_knows_nothing_of_us_is_proven_by_its_memory(
    lastbatch: Call, pids: list[int], tmp_path: Path
) -> None:
    """GIVEN no recorder and no known role, THEN the receive that escaped is found where it waits."""
    lastbatch("attach", *pids, "--out", "job.tar.zst")
    full = bundle.read(tmp_path / "job.tar.zst").collection
    assert full.trace and (full.trace.verdict.value, full.trace.method) == ("proven", "memory")
    unprepared = tuple(
        msgspec.structs.replace(process, flight=None, rank=f"pid:{process.pid}") for process in full.processes
    )
    _, diagnosis = explain(msgspec.structs.replace(full, processes=unprepared))
    assert diagnosis.findings[0].cause == CAUSE and diagnosis.findings[0].confidence > 0.5


def test_reports_in_every_format(lastbatch: Call, pids: list[int], tmp_path: Path) -> None:
    lastbatch("attach", *pids, "--out", "job.tar.zst")
    for name in ("job.html", "job.md", "job.json"):
        assert lastbatch("report", "job.tar.zst", "--out", name).code == 0
    assert (tmp_path / "job.html").stat().st_size < 1_000_000
    assert CAUSE in (tmp_path / "job.html").read_text() and CAUSE in (tmp_path / "job.md").read_text()
    assert msgspec.json.decode((tmp_path / "job.json").read_bytes())["traceEvents"]


def test_the_same_stacks_without_other_evidence_are_unknown(lastbatch: Call, pids: list[int], tmp_path: Path) -> None:
    """GIVEN stacks alone, THEN the verdict is unknown, with the evidence to take next."""
    lastbatch("attach", *pids, "--out", "job.tar.zst")
    full = bundle.read(tmp_path / "job.tar.zst").collection
    bare = msgspec.structs.replace(
        full,
        trace=None,
        processes=tuple(
            msgspec.structs.replace(process, flight=None, connections=(), samples=process.samples[-1:])
            for process in full.processes
        ),
    )
    _, diagnosis = explain(bare)
    assert diagnosis.verdict == "unknown"
    assert any("recorder" in wanted for wanted in diagnosis.next_evidence)
    assert any("TCP_INFO" in wanted for wanted in diagnosis.next_evidence)


def test_without_the_end_of_the_input_the_cause_is_not_named(lastbatch: Call, pids: list[int], tmp_path: Path) -> None:
    """GIVEN a worker that hangs in the middle of an epoch (a dead peer, starved sync training), THEN unknown."""
    lastbatch("attach", *pids, "--out", "job.tar.zst")
    full = bundle.read(tmp_path / "job.tar.zst").collection

    def in_the_middle(process):  # type: ignore[no-untyped-def]
        if process.rank != "worker:0":
            return process
        return msgspec.structs.replace(
            process, flight=msgspec.structs.replace(process.flight, step_in_epoch=0, epoch_lengths=(50,))
        )

    _, diagnosis = explain(
        msgspec.structs.replace(full, trace=None, processes=tuple(map(in_the_middle, full.processes)))
    )
    assert diagnosis.verdict == "unknown"
    assert diagnosis.findings[0].against


def test_one_rank_of_five_is_a_result_too(lastbatch: Call, pids: list[int]) -> None:
    """GIVEN only the worker, THEN what is missing is said."""
    found = lastbatch("attach", pids[0], "--json").json
    assert found["ranks"][0]["state"] == "hung"
    assert "servers" in " ".join(missing for finding in found["findings"] for missing in finding["missing"])


def test_a_healthy_process_is_not_called_hung(lastbatch: Call) -> None:
    busy = "print('ready', flush=True)\nwhile True: sum(range(10000))"
    with subprocess.Popen([sys.executable, "-c", busy], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout and process.stdout.readline()
            answer = lastbatch("attach", process.pid, "--json")
            assert answer.code == 0
            assert (answer.json["verdict"], answer.json["ranks"][0]["state"]) == ("none", "progressing")
        finally:
            process.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="starts a process of another user, which needs root")
def test_without_the_right_to_look_it_says_so(tmp_path: Path) -> None:
    """GIVEN a process of somebody else, WHEN the program may not ptrace it, THEN it says what right is missing."""
    somebody = "import os, time\nos.setuid(65534)\nprint('ready', flush=True)\nwhile True: time.sleep(1)"
    with subprocess.Popen([sys.executable, "-c", somebody], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout and process.stdout.readline()
            asked = subprocess.run(
                ["setpriv", "--bounding-set=-sys_ptrace", sys.executable, "-m", "repro", "attach", str(process.pid)],
                capture_output=True, text=True, check=False, cwd=tmp_path,
            )  # fmt: skip
        finally:
            process.kill()
    assert asked.returncode == 3, asked.stderr
    assert "not permitted" in asked.stderr and "CAP_SYS_PTRACE" in asked.stderr
    assert "Traceback" not in asked.stderr
