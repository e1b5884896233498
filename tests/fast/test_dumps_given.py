"""What a user gives to `diagnose`: files of any encoding, a launcher's log folder, standard input; never an address."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_dumps_of_others import HOME

from diagnostics import bundle, importers
from diagnostics.cli.diagnose import read_evidence
from diagnostics.errors import EvidenceError, UsageError
from diagnostics.importers import Imported
from diagnostics.importers.lines import lines_of
from diagnostics.importers.vocabulary import load
from diagnostics.importers.wrapped import unwrapped
from diagnostics.model import Collection, FactKind, Process

LOG = (HOME / "mlm-4910" / "rank0.txt").read_text()
WATCHDOG = (
    "[Rank 3] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=4, OpType=BROADCAST, NumelIn=112, "
    "NumelOut=112, Timeout(ms)=1800000) ran for 1800010 milliseconds before timing out."
)


def facts_of(given: Imported) -> set[str]:
    return {fact.words for process in given.processes for fact in process.facts}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_the_encoding_changes_nothing(encoding: str) -> None:
    assert facts_of(importers.imported(LOG.encode(encoding), "x.log")) == facts_of(
        importers.imported(LOG.encode(), "x.log")
    )


def test_the_log_folder_of_a_launcher_has_a_rank_a_folder(tmp_path: Path) -> None:
    for rank in (0, 3):
        folder = tmp_path / "attempt_0" / str(rank)
        folder.mkdir(parents=True)
        (folder / "stderr.log").write_text("RuntimeError: Socket Timeout\n")
        (folder / "stdout.log").write_text("")
    given, unread = importers.read_all([tmp_path])
    assert {process.rank for one in given for process in one.processes} == {"worker:0", "worker:3"} and not unread


def test_slurms_files_are_of_the_rank_in_their_name(tmp_path: Path) -> None:
    (tmp_path / "job-123-4.out").write_text("RuntimeError: Socket Timeout\n")
    (given,), _ = importers.read_all([tmp_path])
    assert [process.rank for process in given.processes] == ["worker:4"]


def test_a_file_that_cannot_be_read_costs_only_itself(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(LOG)
    (tmp_path / "b.bin").write_bytes(bytes(range(32)) * 200)
    (tmp_path / "c.json").write_text('{"entries": [')
    given, unread = importers.read_all([tmp_path])
    assert len(given) == 1 and {error.stage.rpartition("/")[2] for error in unread} == {"b.bin", "c.json"}
    with pytest.raises(EvidenceError, match=r"b\.bin"):
        importers.read_all([tmp_path / "b.bin"])


def test_standard_input_is_read_and_an_address_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(LOG.encode())))
    (given,), _ = importers.read_all([Path("-")])
    assert len(given.processes) == 8
    with pytest.raises(UsageError, match=r"https://example\.org/rank0\.txt is an address, and nothing is fetched"):
        importers.read_all([Path("https://example.org/rank0.txt")])


def a_bundle(path: Path, rank: str) -> Path:
    return bundle.write(path, Collection(1.0, 1.0, (Process(rank, 1, "h", exit_status=-9),)), {})


def test_a_folder_may_hold_bundles_and_dumps_and_one_that_is_damaged_costs_only_itself(tmp_path: Path) -> None:
    host = a_bundle(tmp_path / "host-a.tar.zst", "worker:0")
    a_bundle(tmp_path / "host-b.tar.zst", "worker:1")
    (tmp_path / "rank2.log").write_text("RuntimeError: Socket Timeout\n")
    (tmp_path / "cut.tar.zst").write_bytes(host.read_bytes()[:-20])
    for given in ([tmp_path], [*tmp_path.iterdir()], [tmp_path, host]):
        collection, unread = read_evidence(given)
        assert sorted(process.rank for process in collection.processes) == ["worker:0", "worker:1", "worker:2"]
        assert [error.stage for error in unread] == [f"reading {tmp_path / 'cut.tar.zst'}"]
    with pytest.raises(EvidenceError, match="cut short"):
        read_evidence([tmp_path / "cut.tar.zst"])


def test_a_bundle_on_standard_input_is_told_to_be_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = a_bundle(tmp_path / "a.tar.zst", "worker:0").read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    with pytest.raises(EvidenceError, match="standard input is a bundle"):
        read_evidence([Path("-")])


@pytest.mark.parametrize("width", range(60, 190))
def test_a_broken_line_is_read_whole_or_not_at_all(width: int) -> None:
    """THEN never half a word or number is taken for all of it."""
    text = "\n".join(f"[rank{n}]:[E426 02:31 X.cpp:629] " + WATCHDOG.replace("Rank 3", f"Rank {n}") for n in range(4))
    broken = "\n".join(line[at : at + width] for line in text.split("\n") for at in range(0, len(line), width))
    given = importers.imported(broken.encode(), "x.log")
    said = [fact.values for process in given.processes for fact in process.facts if fact.kind is FactKind.TIMED_OUT]
    assert len(said) == 4
    assert {(v["operation"], v["number"], v["elements_out"], v["ran_ms"]) for v in said} == {
        ("BROADCAST", "4", "112", "1800010")
    }


def test_lines_that_nobody_broke_stay_as_they_are() -> None:
    lines = [f"    step_{n} (train.py:{n})" for n in range(80)] + ["Thread 12 (idle): \"MainThread\"", "x" * 90, "end"]
    assert unwrapped(lines) == lines


@pytest.mark.parametrize(
    ("prefix", "source"),
    [
        ("[rank3]: ", "worker:3"),
        ("[default3]:[rank3]: ", "worker:3"),
        ("[1,3]<stderr>:", "worker:3"),
        ("(EngineCore_DP1 pid=1317) ", "EngineCore_DP1"),
        ("(RayTrainWorker pid=12, ip=10.0.0.5) ", "RayTrainWorker"),
        ("sglang-1  | ", "sglang-1"),
        ("[pod/train-0/main] ", "train-0"),
        ("2026-01-05T10:11:12.123456Z ", ""),
    ],
)
def test_who_said_a_line_is_told_by_its_prefix(prefix: str, source: str) -> None:
    (line,) = lines_of(prefix + "RuntimeError: it is stuck")
    assert (line.source, line.text) == (source, "RuntimeError: it is stuck")


@pytest.mark.parametrize(
    ("lines", "sources"),
    [
        (["0: a", "1: b", "0: c", "1: d"], ["worker:0", "worker:1", "worker:0", "worker:1"]),  # srun --label
        (["[0] a", "[0] b", "[1] c"], ["worker:0", "worker:0", "worker:1"]),  # mpiexec -prepend-rank
        (["0: a", "1: b", "2: c"], ["worker:0", "worker:1", "worker:2"]),
        (["451 a", "452 b", "453", "454 d"], ["", "", "", ""]),  # an editor's numbers
        (["[80746] a", "[80747] b", "[80748] c"], ["", "", ""]),
        (["12:a", "57:b", "901:c"], ["", "", ""]),  # grep -n
    ],
)
def test_a_number_before_every_line_is_a_rank_or_the_lines_own(lines: list[str], sources: list[str]) -> None:
    read = list(lines_of("\n".join(lines)))
    assert [line.source for line in read] == sources
    assert all(len(line.text) <= 1 for line in read)


def test_a_rank_of_a_group_is_the_rank_of_the_job_that_its_prefix_names() -> None:
    """GIVEN two pipelines whose first members both call themselves rank 0, THEN they are the ranks 0 and 4."""
    lines = [
        f"[rank{rank}]:[E ProcessGroupNCCL.cpp:1537] [PG ID 5 PG GUID {5 + rank}(pipeline) Rank 0] "
        f"Timeout at NCCL work: {n}, last enqueued NCCL work: {n}, last completed NCCL work: {n - 1}."
        for rank, n in ((0, 31), (4, 29))
    ]
    given = importers.imported("\n".join(lines).encode(), "job.log")
    assert {process.rank for process in given.processes} == {"worker:0", "worker:4"}
    (fourth,) = (process for process in given.processes if process.rank == "worker:4")
    assert "rank 4 (rank 0 of the group)" in fourth.facts[0].words
    groups = {one.group for process in given.processes for one in process.collectives}
    assert groups == {"pipeline (5)", "pipeline (9)"}, "they are two groups of the same name"


def test_owners_that_gdb_printed_prove_who_waits_for_whom() -> None:
    (process,) = importers.imported((HOME / "gdb-lock-cycle" / "rank0.txt").read_bytes(), "x.txt").processes
    assert {(call.tid, call.holder) for call in process.blocking_calls} == {(4712, 4713), (4713, 4712)}


def test_no_sentence_has_brackets_in_brackets() -> None:
    """An optional part is taken as a whole: one within another would be left half."""
    assert not [row.words for row in load().rows if re.search(r"\[[^\]]*\[", row.words)]


def test_a_log_in_words_that_nobody_wrote_down_is_quoted() -> None:
    told = importers.imported(b"step 4\n[ERROR] HCCL rank[3] wait for peer rank[7] timeout[120] s\nbye\n", "x.log")
    ((fact,),) = (process.facts for process in told.processes)
    assert fact.kind is FactKind.ERROR and "rank[7]" in fact.words
    with pytest.raises(EvidenceError):
        importers.imported(b"hello\nit is nice\n", "x.log")


@pytest.mark.parametrize("number", ["1\u00b901", "0xFFFF9C\u00ff\u00ff35B50", "\u0661\u0662", "9" * 400])
def test_what_only_looks_like_a_number_is_none(number: str) -> None:
    text = f'Process 7: python x.py\n\nThread {number} (idle): "MainThread"\n    step (x.py:3)\n'
    importers.imported(text.encode(), "x.txt")
