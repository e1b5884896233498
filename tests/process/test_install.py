"""A user with a stuck job installs the wheel, or copies one file to a node without pip, and has an answer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import STUCK

from diagnostics import bundle

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "release" / "build.py"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with pip and nothing else."""
    home = tmp_path_factory.mktemp("empty")
    subprocess.run([sys.executable, "-m", "venv", home], check=True, timeout=120)
    return home / "bin" / "python"


@pytest.fixture
def stuck() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout and process.stdout.readline() == b"stuck\n"
            yield process.pid
        finally:
            process.kill()


def run(folder: Path, *argv: object, **environment: str) -> tuple[int, str, str]:
    """In an environment of its own, so that nothing of this checkout is found by chance."""
    done = subprocess.run(
        list(map(str, argv)), cwd=folder, env={"PATH": "/usr/bin:/bin", "HOME": str(folder), **environment},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def attach_tells(folder: Path, pid: int, *program: object, **environment: str) -> None:
    code, out, err = run(folder, *program, "attach", pid, "--json", **environment)
    assert code == 1, err
    answer = json.loads(out)
    (rank,) = answer["ranks"]
    assert answer["hung"] and rank["position"]["function"] == "waits_for_the_lock", out
    assert rank["stacks_from"] == "py-spy+unwind", "what reads stacks came along"
    assert bundle.read(folder / answer["bundle"]).collection.processes[0].pid == pid
    assert not err


def build(python: Path, *words: object) -> Path:
    subprocess.run([python, BUILD, *map(str, words)], check=True, timeout=300, capture_output=True)
    return Path(str(words[1]))


def test_the_wheel_alone_attaches_and_says_what_scenarios_need(python: Path, stuck: int, tmp_path: Path) -> None:
    (wheel,) = build(python, "wheel", tmp_path / "dist").glob("*.whl")
    subprocess.run([python, "-m", "pip", "install", "-q", wheel], check=True, timeout=300)
    lastbatch = python.with_name("lastbatch")
    attach_tells(tmp_path, stuck, lastbatch)
    code, _, said = run(tmp_path, lastbatch, "compare", "last-batch")
    assert code == 3 and "pip install 'lastbatch[repro]'" in said, said
    code, out, said = run(tmp_path, lastbatch, "doctor")
    assert code == 0 and "py-spy" in out, said


def test_one_file_attaches_where_nothing_is_installed(python: Path, stuck: int, tmp_path: Path) -> None:
    here = "{}.{}".format(*sys.version_info)
    pyz = build(python, "pyz", tmp_path / "lastbatch.pyz", here)
    bare = [sys.executable, "-I", "-S", pyz]
    attach_tells(tmp_path, stuck, *bare)
    (kept,) = (tmp_path / ".cache" / "lastbatch").glob("pyz-*")
    # Where nothing can be kept it runs all the same, and takes away what it unpacked.
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    code, out, said = run(tmp_path, *bare, "doctor", "--json")
    assert code == 0, said
    assert {check["name"]: check["ok"] for check in json.loads(out)["checks"]}["py-spy"], "what came along is there"
    code, said, _ = run(tmp_path, *bare, "--version", HOME="/dev/null", TMPDIR=str(scratch))
    assert code == 0 and said.startswith("lastbatch ") and not list(scratch.iterdir())
    assert kept.stat().st_mode & 0o077 == 0


def test_the_file_tells_an_interpreter_that_it_was_not_made_for(tmp_path: Path) -> None:
    start = (ROOT / "release" / "start.py").read_text().replace("@PYTHONS@", "3.99")
    (tmp_path / "__main__.py").write_text(start)
    code, _, said = run(tmp_path, sys.executable, tmp_path)
    assert code == 1 and "is for CPython 3.99" in said and "Run it as python3.99" in said
