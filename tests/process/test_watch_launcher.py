"""A rank dies, and its launcher ends the others at once: evidence of these is taken before it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from conftest import LASTBATCH, wait_for

from diagnostics import bundle
from diagnostics.collector import procfs
from diagnostics.watching import held

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
while all(rank.poll() is None for rank in ranks):
    time.sleep(1)
for rank in ranks:
    rank.kill()
    rank.wait()
open("ended", "w").write("")
sys.exit(7)
"""


def test_the_others_are_looked_at_before_their_launcher_ends_them(tmp_path: Path) -> None:
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
            (tmp_path / "die").touch()
            said, _ = watch.communicate(timeout=120)
        finally:
            (tmp_path / "die").touch()
            watch.kill()
    assert watch.returncode == 1 and "worker:1" in said and "signal 9" in said, said
    seen = {process.rank: process for process in bundle.read(tmp_path / "w.tar.zst").collection.processes}
    assert seen["worker:1"].exit_status == -9
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
