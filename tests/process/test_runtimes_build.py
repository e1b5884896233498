"""Building a runtime: once, whole or not at all, and with errors that help."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from diagnostics.errors import LastbatchError, MissingError
from repro.runtimes import available, build, cache, ensure, pip, remove
from repro.runtimes.pins import Recipe

_REPOSITORY = Path(__file__).resolve().parents[2]
_MINOR = "{}.{}".format(*sys.version_info)
_NAME = f"py{_MINOR}"
_DEADLINE = 60.0


@pytest.fixture(autouse=True)
def cache_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # A space in it, as in some home directories.
    path = tmp_path / "my cache"
    monkeypatch.setenv("LASTBATCH_CACHE", str(path))
    monkeypatch.setenv("PYTHONPATH", str(_REPOSITORY))
    return path / "runtimes"


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


class Gate:
    """An interpreter on PATH that stops when it is to make an environment, says so, and goes on when told."""

    def __init__(self, directory: Path) -> None:
        self.bin = directory / "bin"
        self.bin.mkdir()
        self.arrivals = directory / "arrivals"
        self.open_fifo = directory / "open"
        os.mkfifo(self.open_fifo)
        python = self.bin / f"python{_MINOR}"
        answer = json.dumps(
            {
                "executable": str(python),
                "version": "{}.{}.{}".format(*sys.version_info),
                "implementation": "CPython",
                "bits": 64,
                "machine": "x86_64",
                "has_venv": True,
                "has_ensurepip": True,
                "free_threaded": False,
            }
        )
        python.write_text(
            f"""#!/bin/sh
case "$*" in
*"-m venv"*)
    mkdir -p venv/bin; echo half > venv/half; echo $$ >> {self.arrivals}
    read line < {self.open_fifo}
    exec {sys.executable} "$@";;
*)
    echo '{answer}';;
esac
"""
        )
        python.chmod(0o755)

    def pids(self) -> list[int]:
        return [int(line) for line in self.arrivals.read_text().split()] if self.arrivals.exists() else []

    def open(self) -> None:
        self.open_fifo.write_text("go\n")


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate(tmp_path)
    monkeypatch.setenv("PATH", f"{gate.bin}{os.pathsep}{os.environ['PATH']}")
    return gate


@pytest.fixture
def start() -> Iterator[Callable[[], "subprocess.Popen[str]"]]:
    """Starts processes that ask for the runtime and print each stage."""
    program = f"from repro.runtimes import ensure; print(ensure({_NAME!r}, lambda s: print(s, flush=True)).python)"
    started: list[subprocess.Popen[str]] = []

    def start_one() -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.kill()
        process.communicate()


def read_until(process: "subprocess.Popen[str]", text: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"ended without saying {text!r}: {process.communicate()}")


def test_an_interpreter_alone_is_made_once() -> None:
    stages: list[str] = []
    runtime = ensure(_NAME, stages.append)
    done = subprocess.run(
        [runtime.python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()) == runtime.directory / "venv"
    assert runtime.python_version == "{}.{}.{}".format(*sys.version_info)
    assert stages
    assert ensure(_NAME, stages.clear) == runtime  # type: ignore[arg-type]  # would fail if it were called


def test_two_processes_at_once_make_it_once(gate: Gate, start: Callable[[], "subprocess.Popen[str]"]) -> None:
    # GIVEN one that builds
    first = start()
    until(lambda: len(gate.pids()) == 1, "the first build")
    # WHEN another one asks
    second = start()
    read_until(second, "waiting for another process")
    gate.open()
    # THEN both have it, and it was built once
    outputs = [process.communicate(timeout=_DEADLINE)[0].splitlines()[-1] for process in (first, second)]
    assert outputs[0] == outputs[1]
    assert len(gate.pids()) == 1
    assert os.access(outputs[0], os.X_OK)


def test_a_build_that_is_killed_leaves_no_process_and_is_made_anew(
    gate: Gate, start: Callable[[], "subprocess.Popen[str]"], cache_directory: Path
) -> None:
    # GIVEN a build in its middle
    process = start()
    until(lambda: len(gate.pids()) == 1, "the build")
    child = gate.pids()[0]
    # WHEN it is killed
    process.kill()
    process.wait()
    # THEN its child ends too, what is left does not count, and the next one builds
    until(lambda: not is_running(child), "the end of the child")
    assert (cache_directory / _NAME / "venv" / "half").exists()
    second = start()
    until(lambda: len(gate.pids()) == 2, "the second build")
    gate.open()
    output = second.communicate(timeout=_DEADLINE)[0]
    assert "is ready" in output
    assert ensure(_NAME).directory == cache_directory / _NAME


def test_ctrl_c_ends_the_build_and_leaves_nothing(
    gate: Gate, start: Callable[[], "subprocess.Popen[str]"], cache_directory: Path
) -> None:
    process = start()
    until(lambda: len(gate.pids()) == 1, "the build")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=_DEADLINE)
    assert not is_running(gate.pids()[0])
    assert not (cache_directory / _NAME).exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"release": 1}', "x" * 100_000])
def test_a_marker_that_is_not_one_means_making_it_anew(content: str, cache_directory: Path) -> None:
    ensure(_NAME)
    (cache_directory / _NAME / "ready.json").write_text(content)
    stages: list[str] = []
    ensure(_NAME, stages.append)
    assert any("is ready" in stage for stage in stages)


def test_an_environment_whose_interpreter_is_gone_is_made_anew() -> None:
    runtime = ensure(_NAME)
    runtime.python.unlink()
    runtime.python.symlink_to("/nonexistent/python")
    assert os.access(ensure(_NAME).python, os.X_OK)


def test_it_is_removed_and_made_again(cache_directory: Path) -> None:
    runtime = ensure(_NAME)
    sealed = runtime.directory / "venv" / "sealed"
    sealed.mkdir()
    (sealed / "file").touch()
    sealed.chmod(0o500)
    assert remove(_NAME)
    assert not runtime.directory.exists()
    assert not remove(_NAME)
    assert ensure(_NAME) == runtime


def test_what_is_being_built_is_not_removed() -> None:
    ensure(_NAME)
    with cache.lock(_NAME, waiting=lambda: None), pytest.raises(MissingError, match="in use"):
        remove(_NAME)


def test_doctor_sees_what_is_there() -> None:
    before = {state.name: state for state in available()}
    assert {"tf1.4", "tf1.8", "tf1.12", "tf1.13", "tf1.15", "tf2", "torch"} == set(before)
    assert all(state.state != "ready" for state in before.values())
    assert all(state.what_to_do for state in before.values())
    ensure(_NAME)
    after = {state.name: state for state in available()}
    assert after[_NAME].state == "ready"
    assert after[_NAME].size > 0


def wheel(directory: Path, version: str, code: str) -> None:
    """The smallest package that pip installs."""
    info = f"tinyframework-{version}.dist-info"
    directory.mkdir(exist_ok=True)
    with zipfile.ZipFile(directory / f"tinyframework-{version}-py3-none-any.whl", "w") as file:
        file.writestr("tinyframework.py", code)
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tinyframework\nVersion: {version}\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for a framework, so that the whole way through pip takes seconds."""
    plan = Recipe("tinyframework==2.13.0", (), ("six==1.16.0",), "tinyframework", 1, True)
    monkeypatch.setattr(build, "recipe", lambda *_: plan)
    wheels = tmp_path / "wheels"
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return wheels


def test_pip_settings_for_other_purposes_do_no_harm(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN a shell set up for other work
    wheel(tiny, "2.13.0", "__version__ = '2.13.0+cpu'")
    other = tmp_path / "other.txt"
    other.write_text("tinyframework==1.0\n")
    elsewhere = tmp_path / "elsewhere"
    config = tmp_path / "pip.conf"
    config.write_text(f"[global]\nuser = true\nrequire-virtualenv = true\nconstraint = {other}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    for key, value in {
        "PIP_TARGET": str(elsewhere),
        "PIP_CONSTRAINT": str(other),
        "PIP_REQUIRE_VIRTUALENV": "1",
        "PIP_QUIET": "3",
        "PYTHONPATH": str(elsewhere),
        "PYTHONHOME": "/nonsense",
        "VIRTUAL_ENV": "/nonsense",
    }.items():
        monkeypatch.setenv(key, value)
    # WHEN
    stages: list[str] = []
    runtime = ensure("torch", stages.append)
    # THEN
    assert runtime.framework_version == "2.13.0+cpu"
    assert not elsewhere.exists()
    assert "installing torch 2.13.0 (about 1 MB)" in stages
    assert "unpacking 1 package" in stages


def test_a_changed_pin_set_means_making_it_anew(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel(tiny, "2.13.0", "__version__ = '2.13.0'")
    ensure("torch")
    changed = Recipe("tinyframework==2.13.0", (), ("six==1.17.0",), "tinyframework", 1, True)
    monkeypatch.setattr(build, "recipe", lambda *_: changed)
    stages: list[str] = []
    ensure("torch", stages.append)
    assert any("is ready" in stage for stage in stages)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise ImportError('libcuda is not here')", "cannot be imported: ImportError: libcuda is not here"),
        ("__version__ = '2.12.9'", "it says that it is 2.12.9"),
    ],
)
def test_installed_is_not_enough_it_has_to_be_importable(
    tiny: Path, code: str, message: str, cache_directory: Path
) -> None:
    wheel(tiny, "2.13.0", code)
    with pytest.raises(LastbatchError, match=message) as caught:
        ensure("torch")
    log = cache_directory / "torch2.13.0" / "install.log"
    assert str(log) in caught.value.hint
    assert [path.name for path in log.parent.iterdir()] == ["install.log"]


def test_a_release_that_the_index_lacks(tiny: Path) -> None:
    wheel(tiny, "2.12.0", "__version__ = '2.12.0'")
    with pytest.raises(MissingError, match=r"index has no tinyframework==2\.13\.0 for this interpreter"):
        ensure("torch")


@pytest.mark.parametrize("retries", ["0", "1"])
def test_without_a_network_the_error_says_so(
    tiny: Path, retries: str, monkeypatch: pytest.MonkeyPatch, cache_directory: Path
) -> None:
    # GIVEN an index at which nobody listens
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_RETRIES", retries)
    with pytest.raises(MissingError, match=r"cannot (be reached|reach the package index)") as caught:
        ensure("torch")
    assert "network" in caught.value.hint
    assert [path.name for path in (cache_directory / "torch2.13.0").iterdir()] == ["install.log"]


@pytest.fixture
def tiny_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", path], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount a small file system")
    monkeypatch.setenv("LASTBATCH_CACHE", str(path))
    yield path
    subprocess.run(["umount", path], check=True)


def test_a_full_disk_is_named(tiny_disk: Path) -> None:
    with pytest.raises(MissingError, match="no space left") as caught:
        ensure(_NAME)
    assert "LASTBATCH_CACHE" in caught.value.hint


def test_too_little_space_is_told_before_anything_is_fetched(tiny_disk: Path) -> None:
    with pytest.raises(MissingError, match=r"needs about 1\.3 GB"):
        ensure("torch")


def test_a_cache_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LASTBATCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(MissingError, match="cannot write") as caught:
        ensure(_NAME)
    assert "LASTBATCH_CACHE" in caught.value.hint


@pytest.mark.parametrize(
    ("line", "stage"),
    [
        ("Collecting tensorflow==1.12.0", "collecting tensorflow"),
        ("Collecting h5py>=2.9 (from keras)", "collecting h5py"),
        (
            "Downloading tensorflow-1.12.0-cp36-cp36m-manylinux1_x86_64.whl (83.1 MB)",
            "downloading tensorflow (83.1 MB)",
        ),
        ("Building wheel for gast (setup.py): started", "building gast"),
        ("Installing collected packages: six, numpy, tensorflow", "unpacking 3 packages"),
        ("Url 'file:///x/simple/six/' is ignored: it is neither a file nor a directory.", ""),
        ("", ""),
    ],
)
def test_what_pip_says_in_few_words(line: str, stage: str) -> None:
    assert pip.stage_of(line) == stage


def test_another_failure_shows_the_telling_lines_and_the_log(tmp_path: Path) -> None:
    lines = ["Collecting a", "ERROR: a has conflicting dependencies", "For more information visit the manual"]
    error = pip.failure(lines, 1, tmp_path / "install.log")
    assert not isinstance(error, MissingError)
    assert "ERROR: a has conflicting dependencies" in error.message
    assert str(tmp_path / "install.log") in error.hint


def test_a_connection_that_recovered_is_not_the_cause(tmp_path: Path) -> None:
    lines = ["WARNING: Retrying after ReadTimeoutError", *["Collecting x"] * 100, "ERROR: conflict"]
    assert "conflict" in pip.failure(lines, 1, tmp_path / "install.log").message
