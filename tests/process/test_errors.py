"""A user's mistake is one line that says what to do next, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import LASTBATCH, Answer
from typer.testing import CliRunner

from diagnostics import bundle
from diagnostics.discover.jobs import Job, Member
from diagnostics.discover.selectors import Selection
from diagnostics.errors import LastbatchError
from diagnostics.model import Collection, Process
from repro import scenarios
from repro.cli import app
from repro.cli.display import Log
from repro.runtimes import Runtime
from repro.trial import Plan, run_trial

Call = Callable[..., Answer]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bogus"], "lastbatch: No such command 'bogus'"),
        (["run"], "Missing argument 'SCENARIO'"),
        (["run", "last-batch", "--arm"], "requires an argument"),
        (["run", "last-batch", "--epoch-ends", "0"], "--epoch-ends"),
        (["run", "lastbatch"], "Did you mean last-batch?"),
        (["run", "nonsense"], "There are: "),
        (["run", "last-batch", "--arm", "datset"], "Its arms: dataset"),
        (["run", "last-batch", "--set", "sp=4"], "It has: workers, ps"),
        (["run", "last-batch", "--set", "ps"], "not KEY=VALUE"),
        (["run", "last-batch", "--set", "ps=many"], "not a whole number"),
        (["run", "last-batch", "--set", "ps=0"], "It goes from 1 to"),
        (["run", "last-batch", "--set", "device_filters=perhaps"], "neither true nor false"),
        (["run", "last-batch", "--runtime", "tf1.99"], "tf1"),
        (["run", "last-batch", "--runtime", "mxnet"], "mxnet"),
        (["scenarios", "nonsense"], "no scenario"),
        (["attach", "trainer"], "not a process id"),
        (["watch", "--on-hang", "reprot", "--", "true"], "Say report, dump, kill"),
        (["watch", "--on-hang", "./not-there.sh --now", "--", "true"], "cannot run './not-there.sh --now'"),
        (["watch", "--on-hang", "", "--", "true"], "Say report, dump, kill"),
        (["watch", "--out", "nowhere/w.tar.zst", "--", "true"], "there is no directory /"),
        (["attach", "4194304999", "--out", "."], "is a directory"),
        (["attach", "port:abc"], "'abc' is no port"),
        (["attach", "4194304999"], "does not exist"),
        (["diagnose", "nowhere.tar.zst"], "nowhere.tar.zst"),
        (["report", "nowhere.tar.zst"], "nowhere.tar.zst"),
        (["report", "nowhere.tar.zst", "--out", "x.pdf"], "x.pdf"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_is_one_line(lastbatch: Call, words: list[str], said: str) -> None:
    answer = lastbatch(*words)
    assert answer.code == 2, answer
    assert answer.out == ""
    assert len(answer.err.strip().splitlines()) == 1, answer.err
    assert answer.err.startswith("lastbatch: ") and said in answer.err


@pytest.mark.parametrize("words", [[], ["--json"], ["--out", "x.tar.zst"]])
def test_attach_without_a_target_chooses_none(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    """GIVEN one job here, WHEN `$(pgrep ...)` was empty, THEN its selector is told, and no process is touched."""
    members = (Member(10, "worker:0", "RANK"), Member(11, "worker:1", "RANK"), Member(12, "launcher/12", "started"))
    only = Selection(members, (), (Job("torch-29500", members),))
    monkeypatch.setattr("diagnostics.cli.attach.select", lambda words: only)
    monkeypatch.setattr("diagnostics.pipeline.attach", lambda *_: pytest.fail("attached"))
    answer = CliRunner().invoke(app, ["attach", *words])
    assert answer.exit_code == 2
    said = " ".join(answer.stderr.split())
    assert "no target is given" in said and "(worker:0-1)" in said and "lastbatch attach job:torch-29500" in said


def test_the_form_of_a_report_is_said_by_format_or_by_ending(lastbatch: Call, whole: str, tmp_path: Path) -> None:
    assert lastbatch("report", whole, "--format", "speedscope").code == 0
    assert lastbatch("report", whole, "--out", "named.speedscope.json").code == 0
    for name in ("whole", "named"):
        assert "speedscope.app" in (tmp_path / f"{name}.speedscope.json").read_text()


def test_with_json_the_mistake_is_json_too(lastbatch: Call) -> None:
    answer = lastbatch("run", "nonsense", "--json")
    assert answer.code == 2
    assert answer.json["error"] == "no scenario 'nonsense'" and answer.json["hint"]
    answer = lastbatch("run", "last-batch", "--epoch-ends", "none", "--json")
    assert (answer.code, "--epoch-ends" in answer.json["error"]) == (2, True)


@pytest.fixture
def whole(tmp_path: Path) -> str:
    """A bundle, beside where `lastbatch` is called."""
    evidence = Collection(1.0, 1.0, (Process("worker:0", 1, "h", exit_status=-9),), expected=("worker:0",))
    return str(bundle.write(tmp_path / "whole.tar.zst", evidence, {}))


@pytest.mark.parametrize("name", ["cut", "text", "empty"])
def test_a_file_that_is_no_bundle(lastbatch: Call, whole: str, tmp_path: Path, name: str) -> None:
    data = {"cut": Path(whole).read_bytes()[:-20], "text": b"Thread 1 (LWP 7)\n", "empty": b""}[name]
    (tmp_path / "bad.tar.zst").write_bytes(data)
    answer = lastbatch("diagnose", "bad.tar.zst")
    assert answer.code == 2
    assert len(answer.err.strip().splitlines()) == 1 and "bad.tar.zst" in answer.err


def test_a_zombie_is_said_to_be_one(lastbatch: Call) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    answer = lastbatch("attach", child.pid)
    child.wait()
    assert (answer.code, "zombie" in answer.err) == (2, True), answer.err


def test_no_interpreter_for_an_old_release(lastbatch: Call, tmp_path: Path) -> None:
    """GIVEN a machine without CPython 3.6 and without a runtime made before, THEN it says how to get one."""
    environment = {"PATH": "/nonexistent", "HOME": str(tmp_path), "LASTBATCH_CACHE": str(tmp_path / "cache")}
    answer = lastbatch("run", "last-batch", env=environment)
    assert answer.code == 3, answer
    assert len(answer.err.strip().splitlines()) == 1 and "3.6" in answer.err


@pytest.mark.parametrize("command", ["run", "attach", "diagnose", "report", "doctor", "scenarios"])
def test_help_has_an_example(lastbatch: Call, command: str) -> None:
    answer = lastbatch(command, "--help")
    assert answer.code == 0
    assert f"Example: lastbatch {command}" in answer.out and "--json" in answer.out


@pytest.mark.parametrize("closed", ["by its reader", "by the shell"])
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["scenarios"], 0),
        (["diagnose", "--help"], 0),
        (["diagnose", "whole.tar.zst"], 1),
        (["diagnose", "whole.tar.zst", "--json"], 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_an_answer_that_nobody_reads_ends_as_any_other(whole: str, closed: str, words: list[str], code: int) -> None:
    """GIVEN `| head`, or `>&-`, THEN nothing complains, and a hang is still told by the exit code."""
    reading, writing = os.pipe()
    os.close(reading)
    shell = ["sh", "-c", '"$@" >&-', "sh"] if closed == "by the shell" else []
    done = subprocess.run(
        [*shell, *LASTBATCH, *words], stdout=writing, stderr=subprocess.PIPE, text=True, check=False,
        cwd=Path(whole).parent,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (code, "")


def test_a_path_that_looks_like_markup_stays_what_it_is(lastbatch: Call, whole: str) -> None:
    for name in ("[red]a.html", "a:fire:.html"):
        answer = lastbatch("report", whole, "--out", name)
        assert (answer.code, answer.out.strip()) == (0, name), answer.err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_locale_without_our_characters_is_no_error(lastbatch: Call, whole: str, encoding: str) -> None:
    answer = lastbatch("diagnose", whole, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert answer.code == 1 and "HUNG" in answer.out, answer.err


def test_a_full_disk_is_said_with_what_to_do(lastbatch: Call, whole: str) -> None:
    answer = lastbatch("report", whole, "--out", "/dev/full", "--format", "html", "--json")
    assert answer.code == 3
    assert "No space left" in answer.json["error"] and "--out" in answer.json["hint"]


@pytest.mark.parametrize("there", ["a file", "a directory"])
def test_where_a_trial_cannot_write_is_said_before_anything_starts(tmp_path: Path, there: str) -> None:
    story, runtime = scenarios.find("last-batch"), Runtime("none", Path("none"), "3.6", "tensorflow", "1.12", Path())
    home = tmp_path / "home"
    if there == "a file":
        home.write_text("")
    else:
        (home / "trial").mkdir(parents=True)
    with pytest.raises(LastbatchError, match="trial") as caught:
        run_trial(Plan(story, "dataset", runtime, story.resolve({}), 1.0, home / "trial"), Log("dataset"))
    assert "--out" in caught.value.hint
