"""PyTorch's own ring of collectives, read out of jobs that were never prepared: equal to what PyTorch says itself."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diagnostics.collector.memory import torch_ring as ring
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


@contextmanager
def two_ranks(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    program = tmp_path / "train.py"
    program.write_text(PROGRAM, "utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    ranks = [
        subprocess.Popen(
            [str(ensure("torch").python), str(program), str(rank), port, str(tmp_path / f"told-{rank}")],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for rank in (0, 1)
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
    with two_ranks(tmp_path) as ranks:
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
