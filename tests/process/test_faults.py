"""Faults as a user writes them, and where they can be done."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from conftest import wait_for

from diagnostics.errors import UsageError
from repro.cluster import disk as disks
from repro.cluster.disk import mounted
from repro.faults import load, schedule
from repro.faults.base import Fault
from repro.faults.freeze import Freeze
from repro.faults.partition import Partition

RANKS = ("worker:0", "ps:0", "ps:1")


def test_by_time_and_by_event() -> None:
    at_time = schedule.parse("freeze:ps:1,at=5,for=2")
    assert (at_time.after, at_time.lasts, at_time.fault) == (5.0, 2.0, Freeze(target="ps:1"))
    at_event = schedule.parse("freeze:ps:1,at=worker:0@3")
    assert (at_event.rank, at_event.epoch, at_event.lasts) == ("worker:0", 3, None)


@pytest.mark.parametrize("kind", load().values(), ids=load())
def test_every_fault_s_own_example_is_understood(kind: type[Fault]) -> None:
    scheduled = schedule.parse(kind.example)
    assert type(scheduled.fault) is kind
    ranks = (*RANKS, "worker:1")
    schedule.check([scheduled], "docker", ranks)


def test_both_ways_and_one_way() -> None:
    both, one = Partition(target="ps:1<>worker:0"), Partition(target="ps:1>worker:0")
    assert both.ranks == one.ranks == ("ps:1", "worker:0")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("freze:ps:1", "no fault 'freze'"),
        ("freeze:ps:1,at=soon", "not a number"),
        ("freeze:ps:1,at=worker:0@end", "not an epoch"),
        ("throttle:ps:1,cpus=many", "cpus"),
        ("kill:ps:1,for=2", "cannot be healed"),
        ("kill:ps:1,when=2", "when"),
        ("partition:ps:1", "lacks a direction"),
    ],
)
def test_a_mistake_is_said_in_one_line(written: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        schedule.parse(written)
    assert "\n" not in str(caught.value)


def test_what_a_place_cannot_do_is_said_before_anything_is_started() -> None:
    with pytest.raises(UsageError, match="share one address"):
        schedule.check([schedule.parse("partition:ps:1>worker:0")], "local", RANKS)
    with pytest.raises(UsageError, match="no rank 'ps:7'"):
        schedule.check([schedule.parse("freeze:ps:7")], "local", RANKS)


can_mount = pytest.mark.skipif(
    not os.environ.get("CI") and (os.geteuid() != 0 or not os.path.exists("/dev/fuse")),
    reason="needs root and /dev/fuse",
)


@can_mount
def test_a_disk_stalls_and_answers_again(tmp_path: Path) -> None:
    """GIVEN a file on it, WHEN it stalls, THEN a reader waits; WHEN it answers again, THEN the reader gets it all."""
    got: list[bytes] = []
    with mounted(tmp_path / "disk") as disk:
        file = tmp_path / "disk" / "part"
        file.write_bytes(b"x" * 300_000)
        os.rename(file, tmp_path / "disk" / "rows")
        assert os.listdir(tmp_path / "disk") == ["rows"]
        disk.stall()
        reader = threading.Thread(target=lambda: got.append((tmp_path / "disk" / "rows").read_bytes()))
        reader.start()
        wait_for(lambda: "request_wait_answer" in Path(f"/proc/self/task/{reader.native_id}/wchan").read_text())
        assert not got
        disk.answer()
        reader.join(20)
        assert got == [b"x" * 300_000]
    assert os.listdir(tmp_path / "disk") == []


@can_mount
def test_a_mount_whose_server_was_killed_is_unmounted_by_the_next_start(tmp_path: Path) -> None:
    directory = tmp_path / "disk"
    with mounted(directory) as disk:
        os.kill(disk._server.pid, signal.SIGKILL)
        disk._server.wait()
        assert str(directory) in Path("/proc/self/mounts").read_text()
        assert str(directory) in disks.sweep()
        assert str(directory) not in Path("/proc/self/mounts").read_text()


@can_mount
def test_a_disk_in_use_by_another_run_is_left_alone(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk") as disk:
        disk.stall()  # so that to ask it would take for ever
        assert str(tmp_path / "disk") not in disks.sweep()
        assert str(tmp_path) in Path("/proc/self/mounts").read_text()
