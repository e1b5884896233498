"""A test that starts torchrun and hangs: the answer is about the ranks, and none of them is left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from conftest import Ran

from diagnostics import bundle
from repro.runtimes import Runtime

TRAINS = """
import time
import torch
import torch.distributed as dist

def uploads():
    open("uploads", "w").close()
    time.sleep(100000)

dist.init_process_group("gloo")
dist.all_reduce(torch.ones(2))
uploads() if dist.get_rank() == 1 else dist.all_reduce(torch.ones(2))
"""

STARTS = """
import os, subprocess, time
import pytest

@pytest.fixture(scope="session", autouse=True)
def job():
    # What is slow to start does not count: the test's time begins when the job stands.
    started = subprocess.Popen(["{torchrun}", "--standalone", "--nproc-per-node", "2", "train.py"])
    while not os.path.exists("uploads"):
        time.sleep(0.1)
    yield started
    started.terminate()
    started.wait()

def test_trains(job):
    job.wait()
"""


def test_a_test_on_torchrun_tells_of_its_ranks(
    session_of: Callable[..., Ran], runtime: Callable[[str], Runtime], tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(TRAINS)
    torchrun = Path(runtime("torch").python).with_name("torchrun")
    done = session_of(STARTS.format(torchrun=torchrun), "--timeout", "3", "-o", "timeout_func_only=true")
    assert "1 failed" in done.text and "HUNG" in done.text and "uploads" in done.text, done.text
    seen = {process.rank for process in bundle.read(done.bundles[0]).collection.processes}
    assert {"worker:0", "worker:1"} <= seen
