"""A machine with Python alone, the wheels at hand, a PyTorch job that hangs: two commands to an answer in a minute."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from conftest import wait_for
from docker.models.containers import Container

from repro.cluster import images
from repro.runtimes import Runtime, find_interpreter

ROOT = Path(__file__).parents[2]
JOB = ROOT / "tests" / "data" / "jobs" / "ddp-upload"


@pytest.fixture
def wheels(runtime: Callable[[str], Runtime], tmp_path: Path) -> Path:
    """What a user would have copied there: ours, and what it needs."""
    minor = runtime("torch").python_version.rpartition(".")[0]
    python, folder = find_interpreter(minor, pip=True).python, tmp_path / "wheels"
    subprocess.run([python, ROOT / "release" / "build.py", "wheel", folder], check=True, timeout=120)
    (ours,) = folder.glob("lastbatch-*.whl")
    subprocess.run([python, "-m", "pip", "download", "-q", "-d", folder, ours], check=True, timeout=180)
    return folder


@pytest.fixture
def machine(
    engine: docker.DockerClient, runtime: Callable[[str], Runtime], wheels: Path, tmp_path: Path
) -> Iterator[Container]:
    """Debian, an interpreter, PyTorch, and two ranks that stand still. No network, and nothing of ours."""
    torch = runtime("torch")
    interpreter = Path(torch.python).resolve().parent.parent
    reads = [str(interpreter), str(Path(torch.python).parent.parent), str(JOB), str(wheels)]
    container = engine.containers.run(
        images.debian(engine), ["sleep", "infinity"], detach=True, init=True, network_mode="none",
        cap_add=["SYS_PTRACE"], working_dir=str(tmp_path), environment={"PATH": f"{interpreter}/bin:/usr/bin:/bin"},
        volumes={**{path: {"bind": path, "mode": "ro"} for path in reads}, str(tmp_path): {"bind": str(tmp_path)}},
    )  # fmt: skip
    try:
        for node in ("0", "1"):
            (tmp_path / f"node{node}.log").touch()  # so that it can be read at once
            ask = f"{torch.python} {JOB}/train.py --node {node} --nodes 2 --meet 127.0.0.1:29500 >node{node}.log 2>&1"
            container.exec_run(["sh", "-c", ask], detach=True)
        wait_for(lambda: "hung_at" in (tmp_path / "node1.log").read_text(), 120)
        yield container
    finally:
        container.remove(force=True)


def test_from_install_to_an_answer_in_two_commands(machine: Container, wheels: Path) -> None:
    began = time.monotonic()
    installed = machine.exec_run(f"python3 -m pip install -q --user --no-index --find-links {wheels} lastbatch")
    assert installed.exit_code == 0, installed.output
    answer = machine.exec_run("/root/.local/bin/lastbatch attach --json cmd:train.py", demux=True)
    took = time.monotonic() - began
    out, err = answer.output
    assert answer.exit_code == 1, err
    said = json.loads(out)
    (culprit,) = said["culprits"]
    assert said["hung"] and culprit["position"]["function"].endswith("upload_results"), out
    print(f"from install to an answer in {took:.0f} s")
