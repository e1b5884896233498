"""PyTorch's own ring of collectives, read out of jobs that were never prepared: equal to what PyTorch says itself."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import wait_for

from diagnostics.collector import procfs
from diagnostics.collector.memory import torch_ring as ring
from diagnostics.collector.sched import TaskClocks
from diagnostics.pipeline import attach
from repro.runtimes import ensure

PROGRAM = """
import json, os, pickle, sys, time
rank, port, told = int(sys.argv[1]), sys.argv[2], sys.argv[3]
os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=port, RANK=str(rank), WORLD_SIZE="2")
import torch, torch.distributed as dist
dist.init_process_group("gloo")
pair = dist.new_group([0, 1])
for step in range(5):
    dist.all_reduce(torch.ones(3))
    dist.all_gather([torch.ones(2), torch.ones(2)], torch.ones(2), group=pair)
entries = pickle.loads(torch._C._distributed_c10d._dump_fr_trace())["entries"]
rows = [[e["process_group"][0], e["collective_seq_id"], e["profiling_name"].rpartition(":")[2]] for e in entries]
json.dump(rows, open(told, "w"))
print("ready", flush=True)
if rank == 0:
    dist.all_reduce(torch.ones(1))
time.sleep(100000)
"""


GRID = """
import os, sys, time
rank, port = int(sys.argv[1]), sys.argv[2]
os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=port, RANK=str(rank), WORLD_SIZE="4")
import torch, torch.distributed as dist
dist.init_process_group("gloo")
rows = [dist.new_group([0, 1]), dist.new_group([2, 3])]
columns = [dist.new_group([0, 2]), dist.new_group([1, 3])]
mine = rows[rank // 2], columns[rank % 2]
def step(groups):
    for group in groups:
        dist.all_reduce(torch.ones(3), group=group)
step(mine)
print("ready", flush=True)
step(mine if rank in (0, 3) else mine[::-1])
"""


@contextmanager
def started(tmp_path: Path, text: str, world: int) -> Iterator[list[subprocess.Popen[str]]]:
    program = tmp_path / "train.py"
    program.write_text(text, "utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    ranks = [
        subprocess.Popen(
            [str(ensure("torch").python), str(program), str(rank), port, str(tmp_path / f"told-{rank}")],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for rank in range(world)
    ]
    try:
        for one in ranks:
            assert one.stdout and one.stdout.readline() == "ready\n"
        yield ranks
    finally:
        for one in ranks:
            one.kill()
            one.communicate()


def test_the_ring_is_what_pytorch_dumps_of_itself_and_tells_who_is_behind(tmp_path: Path) -> None:
    with started(tmp_path, PROGRAM, 2) as ranks:
        answer = attach([one.pid for one in ranks])
        for rank, one in enumerate(ranks):
            found = ring.once(one.pid)
            read = [[e["group"], e["number"], e["name"].rpartition(":")[2]] for e in found["collectives"]]
            assert not found["why_not"]
            told = json.loads((tmp_path / f"told-{rank}").read_text("utf-8"))
            assert told and set(map(tuple, told)) <= set(map(tuple, read))
    by_rank = {process.rank: process for process in answer.collection.processes}
    newest = {rank: max((one.seq for one in p.collectives), default=0) for rank, p in by_rank.items()}
    assert newest["worker:0"] > newest["worker:1"] > 0
    assert answer.diagnosis.hung and answer.diagnosis.culprits[0].rank == "worker:1"
    assert all(process.pause < 0.05 for process in by_rank.values())


def test_ranks_of_a_grid_that_enter_rows_and_columns_in_different_orders_are_proven(tmp_path: Path) -> None:
    """GIVEN a 2 x 2 grid and no word of its order, THEN all four ranks of the circle are named, with their lines."""
    with started(tmp_path, GRID, 4) as ranks:
        wait_for(lambda: all(time.last_ran > 1.2 for one in ranks for time in mains(one.pid)), 60)
        found = attach([one.pid for one in ranks]).diagnosis
    assert found.verdict == "group-order" and found.hung
    told = [one for one in found.findings[0].evidence if "in which" in one.fact]
    assert {one.ranks for one in told} == {(f"worker:{rank}",) for rank in range(4)}
    assert sum("step (train.py:12)" in one.fact for one in found.findings[0].evidence) >= 4


def mains(pid: int) -> list[procfs.ThreadSample]:
    return [one for one in procfs.sample_threads(pid, TaskClocks()) if one.tid == pid]
