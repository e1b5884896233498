"""Interpreters are believed only when they have been run."""

import errno
import json
import os
import sys
from pathlib import Path

import pytest

from diagnostics.errors import MissingError
from repro.runtimes import discover, find_interpreter
from repro.runtimes.interpreters import clean_environment, how_to_get

_ANSWER = {
    "version": "3.6.15",
    "implementation": "CPython",
    "bits": 64,
    "machine": "x86_64",
    "has_venv": True,
    "has_ensurepip": True,
    "free_threaded": False,
}


def fake(path: Path, **answer: object) -> Path:
    """An executable that answers the probe like an interpreter would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"executable": str(path), **_ANSWER, **answer})
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without interpreters, and a PATH with nothing but what the fakes need."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "cat").symlink_to("/bin/cat")
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("PYENV_ROOT", "UV_PYTHON_INSTALL_DIR", "XDG_DATA_HOME", "ASDF_DATA_DIR", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_an_interpreter_on_the_path_is_preferred(bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN two of the same minor, one on PATH
    on_path = fake(bare_machine / "tools" / "python3.6")
    fake(bare_machine / "home" / ".pyenv" / "versions" / "3.6.9" / "bin" / "python3.6", version="3.6.9")
    # WHEN
    found = find_interpreter("3.6")
    # THEN
    assert (found.python, found.source, found.minor) == (on_path, "PATH", "3.6")
    assert [each.source for each in discover("3.6")] == ["PATH", "pyenv"]


@pytest.mark.parametrize(
    ("place", "source"),
    [
        (".pyenv/versions/3.6.15/bin/python3.6", "pyenv"),
        (".local/share/uv/python/cpython-3.6.15-linux-x86_64-gnu/bin/python3.6", "uv"),
        (".asdf/installs/python/3.6.15/bin/python3.6", "asdf"),
        ("miniconda3/envs/old/bin/python", "conda"),
        ("miniconda3/bin/python", "conda"),
    ],
)
def test_version_managers_are_searched(bare_machine: Path, place: str, source: str) -> None:
    path = fake(bare_machine / "home" / place)
    found = find_interpreter("3.6")
    assert (found.python, found.source) == (path, source)


def test_conda_environments_elsewhere_are_found_through_its_list(bare_machine: Path) -> None:
    path = fake(bare_machine / "elsewhere" / "bin" / "python")
    listing = bare_machine / "home" / ".conda" / "environments.txt"
    listing.parent.mkdir(parents=True)
    listing.write_text(f"{bare_machine / 'gone'}\n\n{bare_machine / 'elsewhere'}\n")
    assert find_interpreter("3.6").python == path


def test_the_newest_patch_release_of_a_version_manager_comes_first(bare_machine: Path) -> None:
    for version in ("3.6.9", "3.6.15", "3.6.2"):
        path = bare_machine / "home" / ".pyenv" / "versions" / version / "bin" / "python3.6"
        fake(path, version=version)
    assert [each.version for each in discover("3.6")] == ["3.6.15", "3.6.9", "3.6.2"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"implementation": "PyPy"}, "is PyPy"),
        ({"bits": 32}, "32-bit"),
        ({"has_venv": False}, "apt install python3.6-venv"),
        ({"free_threaded": True}, "free-threaded"),
        ({"bits": "many"}, "not a Python"),
    ],
)
def test_what_cannot_be_used_is_named_in_the_error(bare_machine: Path, answer: dict[str, object], reason: str) -> None:
    fake(bare_machine / "tools" / "python3.6", **answer)
    with pytest.raises(MissingError, match=reason):
        find_interpreter("3.6")


def test_a_shim_that_fails_does_not_hide_the_interpreter_behind_it(bare_machine: Path) -> None:
    # GIVEN pyenv's shim, which fails unless the version is active
    shim = bare_machine / "tools" / "python3.6"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    real = fake(bare_machine / "home" / ".pyenv" / "versions" / "3.6.15" / "bin" / "python3.6")
    assert find_interpreter("3.6").python == real


def test_an_interpreter_that_lies_about_its_version_is_not_taken(bare_machine: Path) -> None:
    fake(bare_machine / "tools" / "python3.6", version="3.7.1")
    with pytest.raises(MissingError):
        find_interpreter("3.6")


def test_pip_needs_ensurepip(bare_machine: Path) -> None:
    fake(bare_machine / "tools" / "python3.6", has_ensurepip=False)
    assert find_interpreter("3.6").version == "3.6.15"
    with pytest.raises(MissingError, match="ensurepip"):
        find_interpreter("3.6", pip=True)


@pytest.mark.parametrize(
    ("tool", "minor", "advice"),
    [
        ("pyenv", "3.6", "pyenv install 3.6.15"),
        ("conda", "3.6", "conda create -n py36 python=3.6"),
        ("uv", "3.11", "uv python install 3.11"),
        ("uv", "3.6", "install pyenv"),
        ("", "3.7", "install conda"),
    ],
)
def test_a_missing_interpreter_comes_with_advice_for_this_machine(
    bare_machine: Path, tool: str, minor: str, advice: str
) -> None:
    if tool:
        fake(bare_machine / "tools" / tool)
    with pytest.raises(MissingError) as caught:
        find_interpreter(minor)
    assert caught.value.exit_code == 3
    assert advice in caught.value.hint
    assert "docker" in caught.value.hint


def test_a_folder_of_versions_that_may_not_be_read_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """GIVEN the environment of another user, as after `su`, THEN what is missing is said, and not the folder."""
    stat = os.stat

    def barred(path: object, **rest: bool) -> os.stat_result:
        if str(path) == "/root/.pyenv":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return stat(path, **rest)  # type: ignore[arg-type]

    monkeypatch.setenv("PYENV_ROOT", "/root/.pyenv")
    monkeypatch.setattr(os, "stat", barred)
    assert "install pyenv" in how_to_get("3.6")


def test_the_interpreter_that_runs_this_is_found_and_not_as_a_virtual_environment(
    bare_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    found = find_interpreter("{}.{}".format(*sys.version_info))
    assert found.version == "{}.{}.{}".format(*sys.version_info)
    assert Path(sys.base_prefix) in found.python.resolve().parents or sys.prefix == sys.base_prefix


def test_nothing_of_an_active_environment_reaches_another_interpreter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "/nonsense")
    assert not {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"} & clean_environment().keys()
