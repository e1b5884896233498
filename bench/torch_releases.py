"""Whether the ring of collectives is read out of every rank under several releases of PyTorch, and what it costs.

    python bench/torch_releases.py [--ranks 2 8] PYTHON [PYTHON ...]

PYTHON: an interpreter that has a release of PyTorch. Ranks of gloo call collectives in two groups, write down what
`_dump_fr_trace` tells (where the release has it), and stop with rank 1 behind. Then their memory is read; each entry
is compared by its group, numbers, operation, state, shapes, times, and the first frame. One line of JSON a job.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from diagnostics.collector.memory import torch_ring as ring
from diagnostics.pipeline import attach

PROGRAM = """
import json, os, pickle, sys, time
rank, world, told = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
import torch, torch.distributed as dist
dist.init_process_group("gloo", rank=rank, world_size=world)
every = dist.new_group(list(range(world)))
for step in range(5):
    dist.all_reduce(torch.ones(3 + step, 2))
    dist.broadcast(torch.ones(step + 1), 0, group=every)
    dist.all_gather([torch.ones(2) for _ in range(world)], torch.ones(2), group=every)
dist.barrier()
dump = getattr(torch._C._distributed_c10d, "_dump_fr_trace", None)
said = pickle.loads(dump())["entries"] if dump else None
json.dump({"torch": torch.__version__, "entries": said}, open(told, "w"))
print("ready", flush=True)
if rank != 1:
    dist.all_reduce(torch.ones(1), group=every)
time.sleep(100000)
"""
_RING_IS_ON = {"TORCH_FR_BUFFER_SIZE": "2000", "TORCH_NCCL_TRACE_BUFFER_SIZE": "2000"}


@contextmanager
def job(python: str, ranks: int, home: Path) -> Iterator[list[subprocess.Popen[str]]]:
    program = home / "train.py"
    program.write_text(PROGRAM, "utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    told = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1", **_RING_IS_ON}
    started = [
        subprocess.Popen(
            [python, str(program), str(rank), str(ranks), str(home / f"told-{rank}")],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, **told},
        )
        for rank in range(ranks)
    ]  # fmt: skip
    try:
        for one in started:
            if not one.stdout or "ready\n" not in one.stdout:  # gloo of some releases writes there, too
                sys.exit(f"{python}: a rank did not start")
        yield started
    finally:
        for one in started:
            one.kill()
            one.communicate()


def told_by_pytorch(entry: dict[str, Any]) -> tuple[Any, ...]:
    frames = [(frame["name"], frame["filename"], frame["line"]) for frame in entry.get("frames", ())]
    return (
        tuple(entry["process_group"]), entry["collective_seq_id"], entry["p2p_seq_id"], entry["profiling_name"],
        entry["state"], entry["input_sizes"], entry["output_sizes"], entry["time_created_ns"], entry["timeout_ms"],
        frames[::-1],
    )  # fmt: skip


def read_from_memory(entry: dict[str, Any]) -> tuple[Any, ...]:
    frames = [(frame["name"], frame["file"], frame["line"]) for frame in entry["frames"]]
    return (
        (entry["group"], entry["description"]), entry["number"], entry["p2p_number"], entry["name"],
        entry["state"], *entry["sizes"], entry["created"], entry["timeout"], frames,
    )  # fmt: skip


def compared(pid: int, told: list[dict[str, Any]] | None) -> dict[str, Any]:
    """What was read of a process, and the pairs (what PyTorch tells, what was read) that differ."""
    cpu = time.process_time()
    found = ring.once(pid, 30.0)  # a busy machine is no reason
    cpu = time.process_time() - cpu
    read = {entry["record"]: read_from_memory(entry) for entry in found["collectives"]}
    pairs = [(told_by_pytorch(entry), read.get(entry["record_id"])) for entry in told or ()]
    return {
        "read": len(read), "told": len(pairs), "differ": [pair for pair in pairs if pair[0] != pair[1]],
        "groups": len(found["groups"]), "members": sorted({len(group["ranks"]) for group in found["groups"]}),
        "why_not": found["why_not"], "seconds": found["seconds"], "cpu": round(cpu, 3),
    }  # fmt: skip


def measured(python: str, ranks: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="lastbatch-ring-") as place, job(python, ranks, Path(place)) as started:
        said = [json.loads((Path(place) / f"told-{rank}").read_text("utf-8")) for rank in range(ranks)]
        rows = [compared(one.pid, told["entries"]) for one, told in zip(started, said, strict=True)]
        answer = attach([one.pid for one in started])
    culprits = [culprit.rank for culprit in answer.diagnosis.culprits]
    differ = [entry for row in rows for entry in row["differ"]]
    return {
        "torch": said[0]["torch"], "ranks": ranks, "with_a_ring": sum(row["read"] > 0 for row in rows),
        "entries": sum(row["read"] for row in rows), "told_by_pytorch": sum(row["told"] for row in rows),
        "differ": len(differ), "first_difference": differ[:1], "groups": rows[0]["groups"],
        "members": rows[0]["members"], "why_not": rows[0]["why_not"],
        "seconds": [min(row["seconds"] for row in rows), max(row["seconds"] for row in rows)],
        "cpu": [min(row["cpu"] for row in rows), max(row["cpu"] for row in rows)],
        "pause_of_attach_ms": round(1000 * max(process.pause for process in answer.collection.processes), 1),
        "verdict": answer.diagnosis.verdict, "culprits": culprits,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", nargs="+")
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 8])
    asked = parser.parse_args()
    for python in asked.python:
        for ranks in asked.ranks:
            print(json.dumps(measured(python, ranks)), flush=True)


if __name__ == "__main__":
    main()
