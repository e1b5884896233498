"""`attach --device` through a stand-in for cuda-gdb: what it says is kept, and the target runs on whatever it does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from diagnostics.collector import procfs
from diagnostics.frameworks.cuda import enrich
from diagnostics.model import Collection, Device, DeviceLook, Process
from diagnostics.transport import Here, Target

ROW = "*      0      -   0    7 Active 0x03 (2,1,1) (64,1,1) spin(int*)"
"""As `info cuda kernels` prints it."""


@pytest.fixture
def target(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that was started so that GPU core dumps can be asked for."""
    environ = {**os.environ, "CUDA_ENABLE_USER_TRIGGERED_COREDUMP": "1", "CUDA_COREDUMP_FILE": "core.%h.%p.%t"}
    program = "import sys; print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, env=environ, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout and process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def asked(process: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> DeviceLook:
    """What is told of the target while this is cuda-gdb."""
    debugger = tmp_path / "bin" / "cuda-gdb"
    debugger.parent.mkdir()
    debugger.write_text(f"#!{sys.executable}\n" + textwrap.dedent(script), "utf-8")
    debugger.chmod(0o755)
    monkeypatch.setenv("PATH", str(debugger.parent), prepend=os.pathsep)
    host = socket.gethostname()
    collection = Collection(
        0.0, 0.0, (Process("worker:0", process.pid, host),), devices=(Device(host, 0, pids=(process.pid,)),)
    )
    (found,) = enrich.look(collection, Here((Target(process.pid),))).processes
    assert found.device_look
    return found.device_look


def test_kernels_are_told_with_the_pipe_and_the_dumps_of_the_job(
    target: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = socket.gethostname()
    os.mkfifo(tmp_path / f"corepipe.cuda.{host}.{target.pid}")
    (tmp_path / f"core.{host}.{target.pid}.1767000000").write_bytes(b"")
    (tmp_path / f"core.{host}.1.1767000000").write_bytes(b"")
    script = f"""
    import sys
    words = sys.argv[1:]
    assert words[words.index("-p") + 1] == "{target.pid}" and "-batch" in words and words[-1] == "detach", words
    print("{ROW}")
    """
    told = asked(target, tmp_path, monkeypatch, script)
    assert [one.name for one in told.kernels] == ["spin(int*)"] and not told.why_not
    assert told.pipe.endswith(f"corepipe.cuda.{host}.{target.pid}")
    assert [Path(dump).name for dump in told.dumps] == [f"core.{host}.{target.pid}.1767000000"]


def test_one_that_does_not_end_is_told_to_let_go_and_the_target_runs_on(
    target: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"""
    import os, pathlib, signal, time
    def let_go(*_):
        pathlib.Path("{tmp_path}/detached").touch()
        raise SystemExit(0)
    signal.signal(signal.SIGTERM, let_go)
    os.kill({target.pid}, signal.SIGSTOP)
    while True:
        time.sleep(60)
    """
    monkeypatch.setattr(enrich, "SECONDS", 3.0)
    told = asked(target, tmp_path, monkeypatch, script)
    assert not told.kernels and "did not end within 3 s" in told.why_not
    assert (tmp_path / "detached").exists() and procfs.state_of(target.pid) in ("S", "R")


def test_one_that_may_not_attach_says_what_right_it_lacks(
    target: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = asked(target, tmp_path, monkeypatch, "import sys; sys.exit('ptrace: Operation not permitted.')")
    assert "not permitted to read this process" in told.why_not and not told.kernels
