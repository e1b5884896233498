"""A rank dies, and its launcher ends the others at once: evidence of these is taken before it does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import LASTBATCH, wait_for

from diagnostics import bundle
from diagnostics.collector import procfs
from diagnostics.watching import Deaths, held
from diagnostics.watching.deaths import how_it_ended

RANK = """
import os, signal, threading, time
def waits_for_the_other():
    threading.Event().wait()
def is_killed():
    while not os.path.exists("die"):
        with open("/dev/null", "wb") as nothing:
            nothing.write(bytes(100000))  # it trains: a job that stands still has its evidence kept before it dies
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)
is_killed() if os.environ["RANK"] == "1" else waits_for_the_other()
"""

LAUNCHER = """
import os, subprocess, sys, time
job = dict(os.environ, WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT="35990")
ranks = [subprocess.Popen([sys.executable, "rank.py"], env=dict(job, RANK=str(n), LOCAL_RANK=str(n))) for n in (0, 1)]
os.wait()
while not os.path.exists("go"):  # it knows of the end, and is about to end the other
    time.sleep(0.001)
for rank in ranks:
    rank.kill()
    rank.wait()
open("ended", "w").write("")
sys.exit(7)
"""


def test_the_others_are_looked_at_before_their_launcher_ends_them(tmp_path: Path) -> None:
    """GIVEN a launcher that asks for the rank's status as it ends, THEN it is held before it ends the other."""
    (tmp_path / "rank.py").write_text(RANK)
    (tmp_path / "launcher.py").write_text(LAUNCHER)
    words = ["watch", "--hang-after", "600", "--out", "w.tar.zst", "--on-hang", "echo $LASTBATCH_VERDICT >verdict"]
    with subprocess.Popen(
        [*LASTBATCH, *words, "--", sys.executable, "launcher.py"], cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as watch:  # fmt: skip
        try:
            # Both ranks are known by then: the kernel is to tell of the end of each.
            wait_for(lambda: sum("pidfd" in name for name in procfs.open_files(watch.pid).values()) == 2, 90)
            launcher = procfs.children_of(watch.pid)[0]
            (tmp_path / "die").touch()
            wait_for(lambda: procfs.state_of(launcher) == "t", 60)
            (tmp_path / "go").touch()
            said, _ = watch.communicate(timeout=120)
        finally:
            (tmp_path / "die").touch()
            (tmp_path / "go").touch()
            watch.kill()
    assert watch.returncode == 1 and "worker:1" in said and "was held for" in said, said
    seen = {process.rank: process for process in bundle.read(tmp_path / "w.tar.zst").collection.processes}
    status = seen["worker:1"].exit_status
    assert status == -9 or (status is None and "its parent alone" in said), said  # before Linux 6.15
    assert any("waits_for_the_other" in frame.function for t in seen["worker:0"].threads for frame in t.frames), said
    assert (tmp_path / "verdict").read_text().strip() == "peer-dead"
    assert (tmp_path / "ended").exists(), "the launcher went on as it would have"


def test_who_is_held_stands_still_and_goes_on_afterwards() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            with held(busy.pid) as stands:
                assert stands and procfs.state_of(busy.pid) == "t"
                before = procfs.cpu_of(busy.pid)
                assert procfs.cpu_of(busy.pid) == before
            wait_for(lambda: procfs.cpu_of(busy.pid) > before, 30)
        finally:
            busy.kill()


def test_who_is_gone_cannot_be_held() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    with held(gone.pid) as stands:
        assert not stands


PARENT = """
import os, subprocess, sys
child = subprocess.Popen(["sleep", "600"])
print(child.pid, flush=True)
os.wait()
while True: pass
"""


@contextmanager
def parent_and_child() -> Iterator[tuple[int, int]]:
    """Of a parent that asks at once how its child ended, and then is busy."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline()) if parent.stdout else 0
        try:
            yield parent.pid, child
        finally:
            for pid in (child, parent.pid):
                if procfs.exists(pid):
                    os.kill(pid, signal.SIGKILL)


def test_an_end_is_told_without_anybody_looking_and_its_parent_waits() -> None:
    deaths = Deaths()
    with parent_and_child() as (parent, child):
        assert deaths.watch(child, parent)
        os.kill(child, signal.SIGKILL)
        end = deaths.next(60)
        assert end and end.pid == child and end.status in (-signal.SIGKILL, None)
        with end.looked_at() as stands:
            assert stands and procfs.state_of(parent) == "t"
        wait_for(lambda: procfs.state_of(parent) == "R", 30)


@pytest.mark.parametrize("how", ["nobody comes", "it is forgotten", "all is told already"])
def test_a_parent_is_not_kept_waiting_for_nothing(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr("diagnostics.watching.deaths.PATIENCE", 0.1 if how == "nobody comes" else 600.0)
    deaths = Deaths()
    deaths.matters = how != "all is told already"
    with parent_and_child() as (parent, child):
        assert deaths.watch(child, parent)
        if how == "it is forgotten":
            deaths.forget()
        os.kill(child, signal.SIGKILL)
        wait_for(lambda: not procfs.exists(child) and procfs.state_of(parent) == "R", 30)


def test_how_a_child_ended_is_known_before_it_is_asked_for() -> None:
    deaths = Deaths()
    told = {}
    for status in (0, 3):
        child = subprocess.Popen(["sh", "-c", f"read _; exit {status}"], stdin=subprocess.PIPE)
        told[child.pid] = status
        assert child.stdin and deaths.watch(child.pid, 0)
        handle = os.pidfd_open(child.pid)
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert how_it_ended(handle, child.pid) == status
        child.wait()
        assert how_it_ended(handle, child.pid) in (status, None)
        os.close(handle)
    end = deaths.next(60)
    assert end and told[end.pid] == 3, "the other ended as it should"


def test_the_first_to_end_is_told_first_also_where_several_have_ended() -> None:
    """GIVEN ends while another is looked at, THEN they are told in their order, and not in that of their start."""
    deaths = Deaths()
    children = [subprocess.Popen(["sleep", "600"]) for _ in range(3)]
    try:
        for child in children:
            assert deaths.watch(child.pid, 0)
        busy, second, first = children
        busy.kill()
        end = deaths.next(60)
        assert end and end.pid == busy.pid
        with end.looked_at():
            for child in (first, second):
                child.kill()
                os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        for child in (first, second):
            end = deaths.next(60)
            assert end and end.pid == child.pid
            end.passed_over()
    finally:
        for child in children:
            child.kill()
            child.wait()
