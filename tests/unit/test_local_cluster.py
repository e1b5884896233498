"""Ports that two runs never share, and code that a job's interpreter can import."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from diagnostics.errors import MissingError
from repro.cluster import ports
from repro.cluster.local import node_environment
from repro.cluster.staging import addresses_by_role, stage_code
from repro.runtimes import discover


def test_two_runs_get_different_ports() -> None:
    with ports.lease(20) as first, ports.lease(20) as second:
        assert len({*first, *second}) == 40


def test_a_port_in_use_is_not_leased(monkeypatch: pytest.MonkeyPatch) -> None:
    """GIVEN a range of two ports of which somebody holds one, THEN only the other is leased."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        taken = held.getsockname()[1]
        monkeypatch.setattr(ports, "RANGE", range(taken, taken + 1))
        with pytest.raises(MissingError, match="0 of 1"), ports.lease(1):
            pass


def test_a_lease_ends_with_its_block() -> None:
    with ports.lease(3) as held:
        pass
    locks = Path(tempfile.gettempdir()) / f"lastbatch-ports-{os.getuid()}"
    assert not any((locks / str(port)).exists() for port in held)


def test_addresses_by_role() -> None:
    table = addresses_by_role({"worker:0": "one:1", "ps:0": "two:1", "ps:1": "three:1"})
    assert table == {"worker": ["one:1"], "ps": ["two:1", "three:1"]}


@pytest.mark.parametrize("minor", ["3.6", "newest"])
def test_what_runs_inside_a_job_compiles_and_the_recorder_runs(tmp_path: Path, minor: str) -> None:
    """GIVEN only the staged code, THEN the oldest and the newest interpreter of this machine take it."""
    found = sorted(discover(), key=lambda one: [int(part) for part in one.version.split(".")])
    chosen = [one for one in found if one.version.startswith("3.6.")] if minor == "3.6" else found[-1:]
    if not chosen:
        pytest.skip("no CPython 3.6 on this machine")
    stage_code(tmp_path / "code")
    program = (
        "import compileall, sys; from diagnostics.recorder import Recorder, read; "
        "rec = Recorder(sys.argv[1], rank='worker:0'); rec.step_begin(); rec.step_end(rows=3); rec.close(); "
        "assert read(sys.argv[1]).totals.steps_ended == 1; "
        "sys.exit(not compileall.compile_dir(sys.argv[2], quiet=1))"
    )
    done = subprocess.run(
        [str(chosen[0].python), "-c", program, str(tmp_path / "a.lbrec"), str(tmp_path / "code")],
        env=node_environment(tmp_path / "code"), cwd="/", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_job_sees_nothing_of_this_programs_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONHOME", "VIRTUAL_ENV", "TF_CONFIG", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "x")
    assert not {"PYTHONHOME", "VIRTUAL_ENV", "TF_CONFIG", "OMP_NUM_THREADS"} & set(node_environment(tmp_path))
    assert sys.executable
