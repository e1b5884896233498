"""A stuck PyTorch job becomes a small program that hangs the same way."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from conftest import wait_for

from diagnostics.collector import procfs
from diagnostics.collector.sched import TaskClocks
from repro.runtimes import Runtime

PROGRAM = """
import sys, torch, torch.distributed as dist
rank, port = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method="tcp://127.0.0.1:" + port, rank=rank, world_size=2)
tensor, data = dist.new_group([0, 1], group_desc="tensor"), dist.new_group([0, 1], group_desc="data")
def step(number):
    for group in (tensor, data) if number < 4 or rank == 0 else (data, tensor):
        dist.all_reduce(torch.ones(1000, 3), group=group)
for number in range(9):
    if number == 4:
        print("ready", flush=True)
    step(number)
"""


def test_two_groups_entered_in_different_orders_hang_again(runtime: Callable[[str], Runtime], tmp_path: Path) -> None:
    """WHEN the bundle of the hung job is replayed, THEN the program has its groups and hangs alike."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    argv = [str(runtime("torch").python), "-c", PROGRAM]
    job = [
        subprocess.Popen([*argv, str(rank), port], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for rank in range(2)
    ]
    try:
        for one in job:
            assert one.stdout and one.stdout.readline() == "ready\n"
        wait_for(lambda: all(_stands_still(one.pid) for one in job), 60)
        bundle = tmp_path / "job.tar.zst"
        lastbatch("attach", *[str(one.pid) for one in job], "--out", str(bundle))
    finally:
        for one in job:
            one.kill()
            one.communicate()
    program = tmp_path / "small.py"
    done = lastbatch("replay", str(bundle), "--shrink", "--out", str(program), "--json")
    said = json.loads(done.stdout)
    assert said.get("same"), (said, done.stderr)
    assert said["job"]["cycle"] and said["replayed"]["cycle"]
    assert (said["ranks"], said["groups"]) == (2, 2)
    text = program.read_text("utf-8")
    assert '"tensor' in text and '"data' in text and len(text.splitlines()) <= 60
    running = [Path(entry, "cmdline") for entry in Path("/proc").glob("[0-9]*")]
    assert not [one for one in running if one.exists() and str(program).encode() in one.read_bytes()]


def lastbatch(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "repro", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=300, env={**os.environ, "NO_COLOR": "1"})


def _stands_still(pid: int) -> bool:
    return all(one.last_ran > 1 for one in procfs.sample_threads(pid, TaskClocks()) if one.tid == pid)
