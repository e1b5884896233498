"""A user's mistake is one line that says what to do next, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Answer

Call = Callable[..., Answer]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "lastbatch"], "Did you mean last-batch?"),
        (["run", "nonsense"], "There are: last-batch"),
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


def test_with_json_the_mistake_is_json_too(lastbatch: Call) -> None:
    answer = lastbatch("run", "nonsense", "--json")
    assert answer.code == 2
    assert answer.json["error"] == "no scenario 'nonsense'" and answer.json["hint"]


@pytest.mark.parametrize("name", ["cut", "text", "empty"])
def test_a_file_that_is_no_bundle(lastbatch: Call, tmp_path: Path, name: str) -> None:
    from diagnostics import bundle
    from diagnostics.model import Collection

    whole = bundle.write(tmp_path / "whole.tar.zst", Collection(collected_at=1.0, seconds=1.0, processes=()), {})
    data = {"cut": whole.read_bytes()[:-20], "text": b"Thread 1 (LWP 7)\n", "empty": b""}[name]
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


def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    """WHEN the output goes to `head`, THEN nothing complains."""
    done = subprocess.run(
        f"{sys.executable} -m repro scenarios | head -1; exit ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr
