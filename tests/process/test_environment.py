"""What a program sets in its own environment after its start is read from its memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from diagnostics.collector.environment import environ_in_memory, environ_of
from diagnostics.discover.identity import KEYS
from diagnostics.discover.scan import scan

SETS = """
import os
os.environ.update(RANK="2", WORLD_SIZE="3", MASTER_ADDR="127.0.0.1", MASTER_PORT="7", MY_TOKEN="secret")
os.environ.pop("SLURM_JOB_ID")
print("set", flush=True)
input()
"""


@contextmanager
def running(*command: str, **more: str) -> Iterator[int]:
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "SLURM_JOB_ID": "9", **more}
    )
    try:
        assert process.stdout and process.stdout.readline().strip() == b"set"
        yield process.pid
    finally:
        process.communicate(b"\n", timeout=20)


@pytest.fixture(scope="module")
def pid() -> Iterator[int]:
    with running(sys.executable, "-c", SETS, RANK="0") as pid:
        yield pid


def test_the_environment_in_memory_wins_over_the_one_at_the_start(pid: int) -> None:
    (seen,) = scan([pid])
    assert seen.identity and (seen.identity.rank, seen.identity.job) == ("worker:2", "torch-127.0.0.1:7")


def test_only_the_known_variables_leave_the_process(pid: int) -> None:
    found = environ_of(pid, KEYS)
    assert found["RANK"] == "2" and set(found) <= KEYS
    assert any(pair.startswith("MY_TOKEN=") for pair in environ_in_memory(pid)), "it was there to be seen"


def test_what_was_set_by_another_language_is_seen_as_well() -> None:
    perl = '$| = 1; $ENV{RANK} = "5"; print "set\\n"; <STDIN>;'
    with running("/usr/bin/perl", "-e", perl) as pid:
        assert environ_of(pid, KEYS)["RANK"] == "5"


def test_where_memory_may_not_be_read_the_start_is_what_is_known(pid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int) -> list[str]:
        raise PermissionError

    monkeypatch.setattr("diagnostics.collector.environment.environ_in_memory", refuse)
    assert environ_of(pid, KEYS)["RANK"] == "0"


def test_a_process_that_is_gone_has_no_environment() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert environ_of(ended.pid, KEYS) == {}


def test_a_process_that_ends_while_it_is_read_stops_nobody(pid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """GIVEN memory that is empty from some read on, as the kernel shows it of one that has exited."""
    real, left = os.pread, iter(range(200))

    def ending(handle: int, size: int, offset: int) -> bytes:
        return real(handle, size, offset) if next(left, None) is not None else b""

    for reads in (0, 3, 20, 60, 100):
        left = iter(range(reads))
        monkeypatch.setattr("diagnostics.collector.environment.os.pread", ending)
        assert environ_of(pid, KEYS)["RANK"] in ("0", "2")


BENDS = """
import ctypes, sys
ctypes.c_void_p.in_dll(ctypes.CDLL(None), "environ").value = int(sys.argv[1])
print("set", flush=True)
input()
"""


@pytest.mark.parametrize("pointer", [8, 2**63, 2**64 - 8])
def test_a_pointer_that_points_nowhere_leaves_what_the_process_was_started_with(pointer: int) -> None:
    """As while the array is being moved, or in a process that spoils its own memory."""
    with running(sys.executable, "-c", BENDS, str(pointer), RANK="4") as pid:
        assert environ_of(pid, KEYS)["RANK"] == "4"
        assert [seen.pid for seen in scan([pid])] == [pid]
