"""Watching from outside: a hang is noticed and collected; a quiet phase seen before is not taken for one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from conftest import Answer, wait_for

from diagnostics import bundle
from diagnostics.collector import procfs
from diagnostics.watching import Family, Look, Quiet
from repro.runtimes import Runtime

Call = Callable[..., Answer]
Runtimes = Callable[[str], Runtime]

HANGS = """
import threading, time
end = time.monotonic() + 2
while time.monotonic() < end: sum(range(1000))
def waits_for_ever(): threading.Event().wait()
waits_for_ever()
"""


def test_a_command_that_hangs_is_collected_and_killed(lastbatch: Call, tmp_path: Path) -> None:
    answer = lastbatch(
        "watch",
        "--hang-after",
        3,
        "--on-hang",
        "kill",
        "--out",
        "w.tar.zst",
        "--json",
        "--",
        sys.executable,
        "-c",
        HANGS,
    )
    assert answer.code == 1, answer.err
    (process,) = bundle.read(tmp_path / "w.tar.zst").collection.processes
    assert any(frame.function == "waits_for_ever" for thread in process.threads for frame in thread.frames)
    assert not Path(f"/proc/{process.pid}").exists()


PAUSES = """
import os, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import tensorflow as tf
rows, end = iter(tf.data.Dataset.range(10 ** 6).map(lambda row: row + 1).prefetch(2)), time.time() + 10.5
while time.time() < end:
    next(rows)
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # so that the autotuner always looks too early
del rows
"""


def test_a_pause_that_is_known_to_end_is_told_and_not_killed(lastbatch: Call, runtime: Runtimes) -> None:
    program = ["--", runtime("tf2").python, "-c", PAUSES]
    answer = lastbatch("watch", "--hang-after", 3, "--on-hang", "kill", "--out", "w.tar.zst", *program)
    assert answer.code == 0, answer.err
    assert "tf-data-autotune-pause" in answer.out and "went on by itself" in answer.err


def test_a_command_that_ends_is_left_to_end(lastbatch: Call) -> None:
    assert lastbatch("watch", "--", sys.executable, "-c", "sum(range(1000))").code == 0
    assert lastbatch("watch", "--", sys.executable, "-c", "raise SystemExit(4)").code == 1


def test_what_was_quiet_before_may_be_quiet_again() -> None:
    """GIVEN a job that was quiet for 40 s and went on, THEN it may be quiet for 120 s."""
    quiet = Quiet(0.0)
    for look in (Look(0, 0, 0), Look(10, 10, 0), Look(20, 10, 0), Look(50, 10, 0), Look(60, 19, 0), Look(70, 19, 0)):
        quiet = quiet.after(look)
    assert (quiet.longest, quiet.seconds(70)) == (40.0, 10.0)
    assert quiet.allowed(60) == 120.0


def test_neither_both_nor_none(lastbatch: Call) -> None:
    assert lastbatch("watch").code == 2


def test_the_family_has_who_came_later_and_who_lost_its_parent() -> None:
    """GIVEN a process whose child starts a child and then ends, THEN the grandchild is a member before and after."""
    grows = "read _; sh -c 'sleep 600 & echo $!; read _'; read _"
    with subprocess.Popen(["sh", "-c", grows], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as root:
        assert root.stdin and root.stdout
        family = Family([root.pid])
        assert set(family.members()) == {root.pid}
        grandchild = 0
        try:
            root.stdin.write("\n")
            root.stdin.flush()
            grandchild = int(root.stdout.readline())
            assert set(family.members()) == {root.pid, procfs.parent_of(grandchild), grandchild}
            parent = procfs.parent_of(grandchild)
            root.stdin.write("\n")
            root.stdin.flush()
            wait_for(lambda: procfs.parent_of(grandchild) != parent, 30)
            assert set(family.members()) == {root.pid, grandchild}
        finally:
            root.kill()
            if grandchild:
                os.kill(grandchild, signal.SIGKILL)
