"""Studies on real TensorFlow 1.12: small ones to their end, killed ones that go on, side by side on their own cores."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from conftest import LASTBATCH, Answer, wait_for

from repro.runtimes import Runtime
from repro.study.cell import Cell
from repro.study.store import Study
from repro.study.worker import TrialSpec, run_one

CAUSE = "tf-late-recv-after-abort"

Call = Callable[..., Answer]
Get = Callable[[str], Runtime]

SMALL = ["--set", "ps=2", "--set", "variables=10"]
"""A job that starts fast and hardly ever hangs."""


def test_rates_are_compared_and_everything_is_in_one_file(lastbatch: Call, runtime: Get, tmp_path: Path) -> None:
    """A user compares one server with two over a few epoch ends: nothing is claimed, and all is told."""
    runtime("tf1.12")
    words = ["--vary", "ps=2,1", "--set", "variables=10", "--most", 40, "--slice", 2, "--study", "s.sqlite"]
    answer = lastbatch("compare", "last-batch", *words, "--json")
    assert answer.code == 0, answer.err
    cells = {cell["cell"]: cell for cell in answer.json["cells"]}
    assert set(cells) == {"ps=2", "A/A", "ps=1"}
    assert cells["ps=1"]["hits"] == 0 and cells["ps=1"]["exposure"] >= 40
    assert cells["ps=1"]["answer"] == "open" and cells["ps=1"]["stopped"] == "40 epoch ends"
    low, high = cells["ps=1"]["interval"]
    assert low == 0 and 0.01 < high < 1
    assert cells["ps=1"]["cpu_contention"] >= 1 and cells["ps=1"]["error_after_ms"] > 0
    assert 0 < answer.json["training_share"] < 1 and answer.json["trials"] >= 3
    with Study.read(tmp_path / "s.sqlite") as study:
        assert sum(trial.result.epoch_ends for trial in study.trials() if trial.result) >= 80
    # The same command has nothing left to do, and another question does not get into the file.
    again = lastbatch("compare", "last-batch", *words, "--json")
    assert again.json["cells"] == answer.json["cells"]
    other = lastbatch("compare", "last-batch", *words, "--alpha", 0.05)
    assert other.code == 2 and "holds another study: question differ" in other.err


def test_a_study_survives_kill_9_and_goes_on(lastbatch: Call, runtime: Get, tmp_path: Path) -> None:
    """WHEN the program is killed in the middle of a trial, THEN nothing is left, and it goes on with the rest."""
    runtime("tf1.12")
    path = tmp_path / "s.sqlite"
    words = ["compare", "last-batch", "--question", "below:0.5", *SMALL, "--slice", "3", "--study", str(path)]
    with subprocess.Popen([*LASTBATCH, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as program:
        try:
            wait_for(lambda: len(_left_behind(str(tmp_path))) == 3)  # the ranks of a trial
        finally:
            os.kill(program.pid, signal.SIGKILL)
    wait_for(lambda: not _left_behind(str(tmp_path)), 30)
    with Study.read(path) as study:
        assert [trial.state for trial in study.trials()] == ["running"]
    answer = lastbatch(*words, "--json")
    assert answer.code == 0, answer.err
    (cell,) = answer.json["cells"]
    assert cell["answer"] == "below" and answer.json["lost"] == 1
    assert not [entry for entry in (tmp_path / "s.evidence").iterdir() if entry.is_dir()]
    with Study.read(path) as study:
        first, *rest = study.trials()
        assert first.state == "lost" and rest and all(trial.state == "ended" for trial in rest)
        assert cell["exposure"] == sum(trial.result.epoch_ends for trial in rest if trial.result)


def test_two_processes_do_not_run_one_study(lastbatch: Call, runtime: Get, tmp_path: Path) -> None:
    runtime("tf1.12")
    path = tmp_path / "s.sqlite"
    words = ["compare", "last-batch", "--question", "below:0.5", *SMALL, "--study", str(path)]
    with subprocess.Popen([*LASTBATCH, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as program:
        try:
            wait_for(lambda: len(_left_behind(str(tmp_path))) == 3)  # the ranks of a trial
            program.send_signal(signal.SIGSTOP)  # or it may be done before the second one has started
            second = lastbatch(*words)
            assert second.code == 1 and "another process runs the study" in second.err
        finally:
            program.send_signal(signal.SIGINT)  # it is there when the program goes on, however late that is
            program.send_signal(signal.SIGCONT)
    assert program.returncode == 130 and not _left_behind(str(tmp_path))


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core only")
def test_trials_side_by_side_have_cores_of_their_own(lastbatch: Call, runtime: Get, tmp_path: Path) -> None:
    runtime("tf1.12")
    words = ["--vary", "ps=2,1", "--set", "variables=10", "--most", 20, "--slice", 2, "--no-control"]
    answer = lastbatch("compare", "last-batch", *words, "--cores", 1, "--study", "s.sqlite", "--json")
    assert answer.code == 0, answer.err
    with Study.read(tmp_path / "s.sqlite") as study:
        cores = [trial.result.cores for trial in study.trials() if trial.result]
    assert {len(each) for each in cores} == {1} and len(set(cores)) == 2


@pytest.mark.parametrize(
    ("name", "moved"), [("burn:1", "cpu_seconds"), ("cores:1", "cores"), ("freeze:3/13", "seen_stopped")]
)
def test_a_stressor_really_moves_its_knob(runtime: Get, tmp_path: Path, name: str, moved: str) -> None:
    """The record shows CPU that was burnt, cores that were left, servers that were seen to be stopped."""
    runtime("tf1.12")
    cell = Cell("x", "last-batch", "dataset", "tf1.12", {"ps": "2", "variables": "10"}, (name,))
    result = run_in_a_process(TrialSpec(cell, 60, 120.0, str(tmp_path / "trial")))
    assert result.verdict in ("finished", "hung"), result.why
    record = result.moved[name]
    assert record[moved] == 1 if moved == "cores" else record[moved] > 0
    if name.startswith("freeze"):
        assert record["servers"] == 1 and record["mean_ms"] >= 3
    assert result.verdict != "hung" or result.cause == CAUSE


def run_in_a_process(spec: TrialSpec):  # type: ignore[no-untyped-def]
    """As engines do: a trial changes what its process may run on."""
    from repro.study.engine import LocalEngine

    with LocalEngine() as engine:
        engine.start(1, spec)
        ((_, result),) = wait_for(lambda: engine.wait(1.0), 300)
    assert not isinstance(result, str), result
    return result


def test_a_hang_counts_with_its_fingerprint(runtime: Get, tmp_path: Path) -> None:
    """GIVEN the seed's setting, THEN the trial ends in a hit: cause, who waits for whom, and the evidence kept."""
    runtime("tf1.12")
    cell = Cell("x", "last-batch", "queue-closed", "tf1.12")
    result = run_in_a_process(TrialSpec(cell, 100_000, 600.0, str(tmp_path / "trial")))
    assert (result.verdict, result.fingerprint) == ("hung", f"{CAUSE}; worker waits for ps"), result.why
    assert Path(result.evidence).is_file() and result.evidence.startswith(str(tmp_path))
    assert not (tmp_path / "trial").exists()


def test_a_trial_that_cannot_start_is_a_failure_with_its_reason(runtime: Get, tmp_path: Path) -> None:
    runtime("tf1.12")
    taken = tmp_path / "trial"
    taken.mkdir()
    result = run_one(TrialSpec(Cell("x", "last-batch", "dataset", "tf1.12"), 10, 60.0, str(taken)))
    assert result.verdict == "failed" and "is there already" in result.why


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["compare", "last-batch", "--vary", "ps"], "is not AXIS=LEVEL"),
        (["compare", "last-batch", "--vary", "pss=1,2"], "has no setting 'pss'"),
        (["compare", "last-batch", "--vary", "ps=1,2", "--vary", "ps=4"], "given twice"),
        (["compare", "last-batch", "--question", "below:2"], "is none"),
        (["compare", "last-batch", "--design", "half"], "no design"),
        (["compare", "last-batch", "--stress", "burn:0"], "no stressor"),
        (["compare", "last-batch", "--set", "epoch_ends=9"], "for the study to choose"),
        (["compare", "last-batch", "--engine", "slurm", "--vary", "ps=1,2"], "no engine 'slurm'"),
        (["compare", "last-batch", "--cores", "999", "--vary", "ps=1,2"], "999 cores of its own"),
        (["bisect", "last-batch", "--from", "tf1.15", "--to", "tf1.4"], "is not older"),
        (["bisect", "last-batch", "--among", "tf1.12"], "fewer than two"),
        (["shrink", "last-batch", "--axis", "drop_remainder"], "can be smaller"),
        (["verify", "last-batch", "--remedy", "prayer"], "no remedy 'prayer'"),
    ],
)
def test_mistakes_are_one_line(lastbatch: Call, runtime: Get, words: list[str], complaint: str) -> None:
    if "--engine" in words or "--cores" in words:
        runtime("tf1.12")
    answer = lastbatch(*words)
    assert answer.code == 2 and complaint in answer.err and "Traceback" not in answer.err, answer.err


def test_the_plan_forecasts_and_starts_nothing(lastbatch: Call, tmp_path: Path) -> None:
    answer = lastbatch("compare", "last-batch", "--vary", "ps=4,1", "--plan", "--pace", 25, "--json")
    assert answer.code == 0, answer.err
    rates = [line["rate"] for line in answer.json["forecast"]]
    assert rates == [1e-3, 1e-3, 1e-5, 1e-5, 1e-7, 1e-7]
    hours = [line["to_see_hours"] for line in answer.json["forecast"]]
    assert hours[0] < hours[2] < hours[4]
    assert answer.json["pace"] == 25 and not list(tmp_path.iterdir())
    assert "machine time" in lastbatch("compare", "last-batch", "--plan", "--pace", 25).out


def test_remedies_are_those_of_the_cause(lastbatch: Call) -> None:
    answer = lastbatch("verify", "last-batch", "--json")
    names = [remedy["name"] for remedy in answer.json["remedies"]]
    assert {"one-inter-op-thread", "one-server", "upgrade", "stop-by-count", "drop-remainder", "device-filters"} <= {
        *names
    }
    assert all(remedy["line"] for remedy in answer.json["remedies"])


def test_stopping_by_count_ends_epochs_without_an_error(runtime: Get, tmp_path: Path) -> None:
    runtime("tf1.12")
    settings = {"ps": "1", "variables": "5", "batches": "2", "stop_by_count": "true"}
    cell = Cell("x", "last-batch", "dataset", "tf1.12", settings)
    result = run_in_a_process(TrialSpec(cell, 30, 120.0, str(tmp_path / "trial")))
    assert (result.verdict, result.epoch_ends, result.error_after_ms) == ("finished", 30, -1.0)


def _left_behind(marker: str) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE
        and any(marker in word and word.endswith("spec.json") for word in process.info["cmdline"] or ())
    ]
