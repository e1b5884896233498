"""Ports that two runs never share, and code that a job's interpreter can import."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from conftest import wait_for

from diagnostics.collector import procfs
from diagnostics.errors import LastbatchError, MissingError
from repro.cluster import RankSpec, ports
from repro.cluster.local import LocalCluster, local_cluster, node_environment
from repro.cluster.staging import addresses_by_role, stage_code
from repro.runtimes import Runtime, discover
from repro.trial import wait_until_ready


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


@contextmanager
def cluster_of(home: Path, runtime: Path, ranks: int) -> Iterator[LocalCluster]:
    specs = [RankSpec(f"worker:{index}", "last_batch", "dataset", {}) for index in range(ranks)]
    with local_cluster(Runtime("none", runtime, "3.6", "tensorflow", "1.12", Path()), specs, home) as cluster:
        yield cluster


def test_no_rank_ends_unheard_however_soon_it_ends(tmp_path: Path) -> None:
    """GIVEN ranks that end at once, also while the others are still being started, THEN each one's status is told."""
    with cluster_of(tmp_path, Path("/bin/false"), 24) as cluster:
        wait_for(lambda: len(cluster.exits()) == 24, 30)
        assert set(cluster.exits().values()) == {1}


def script(path: Path, lines: str) -> Path:
    """A program that is called as a rank's interpreter is: `-m PROGRAM ORDERS`."""
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o700)
    return path


def test_a_rank_that_ends_after_it_was_ready_is_not_waited_for(tmp_path: Path) -> None:
    """GIVEN a rank that says that it is ready and then ends, WHEN others are not ready yet, THEN that is said."""
    program = script(
        tmp_path / "rank", 'case $3 in */worker-1/*) touch "${3%/*}/ready"; echo no more; exit 3;; esac; exec sleep 600'
    )
    with (
        cluster_of(tmp_path / "trial", program, 2) as cluster,
        pytest.raises(LastbatchError, match=r"worker:1 ended with status 3 .*: no more"),
    ):
        wait_until_ready(cluster)


def test_a_rank_that_cannot_be_started_is_said_with_why(tmp_path: Path) -> None:
    with pytest.raises(LastbatchError, match=r"worker:0 could not be started: .*No such file"):  # noqa: SIM117
        with cluster_of(tmp_path, tmp_path / "gone", 2):
            pass


def test_a_killed_supervisor_is_said_and_takes_the_ranks_along(tmp_path: Path) -> None:
    """WHEN somebody kills it, THEN the trial does not wait for ranks that are gone."""
    with cluster_of(tmp_path / "trial", script(tmp_path / "stays", "exec sleep 600"), 2) as cluster:
        parent = psutil.Process(cluster.members[0].pid).parent()
        assert parent and not cluster.exits()
        parent.kill()

        def told() -> bool:
            try:
                cluster.exits()
            except LastbatchError as error:
                return "was killed" in error.message
            return False

        wait_for(told, 30)
        wait_for(lambda: not any(procfs.state_of(member.pid) in ("R", "S", "D") for member in cluster.members), 30)


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
    """Nor of a proxy, behind which gRPC would look for the other ranks."""
    names = {"PYTHONHOME", "VIRTUAL_ENV", "TF_CONFIG", "OMP_NUM_THREADS", "http_proxy", "https_proxy"}
    for name in names:
        monkeypatch.setenv(name, "x")
    assert not names & set(node_environment(tmp_path))
