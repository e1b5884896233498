"""Predicted beside measured peak memory of every workload, by role, beyond the idle framework.

    python bench/memory.py                     # every workload in three sizes on tf1.12, about five minutes
    python bench/memory.py --only ctr          # workloads whose name has this in it
    python bench/memory.py --runtime tf1.15 --json

The idle framework is a rank's resident memory when it says that it is ready: imported, its server started, no graph
yet. The peak is the kernel's high-water mark of its resident memory. Of several ranks in a role the largest counts.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from repro import scenarios, workloads
from repro.cluster import NodeOrder
from repro.cluster.local import LocalCluster, local_cluster
from repro.runtimes import Runtime, ensure
from repro.trial import wait_until_ready

MIB = 1 << 20


class Case(NamedTuple):
    """A workload in one size."""

    model: str
    size: str
    settings: dict[str, int]


def _cases(model: str, *sizes: dict[str, int]) -> list[Case]:
    return [Case(model, name, size) for name, size in zip(("small", "medium", "large"), sizes, strict=True)]


CASES = (
    *_cases(
        "wide",
        {"variables": 100, "width": 200_000, "rows": 64},
        {"variables": 200, "width": 200_000, "rows": 128},
        {"variables": 200, "width": 400_000, "rows": 128},
    ),
    *_cases(
        "ctr",
        {"variables": 8, "vocabulary": 200_000, "width": 32, "hidden": 512, "rows": 8192},
        {"variables": 8, "vocabulary": 400_000, "width": 32, "hidden": 1024, "rows": 16384},
        {"variables": 16, "vocabulary": 400_000, "width": 32, "hidden": 1024, "rows": 16384},
    ),
    *_cases(
        "sampled-softmax",
        {"vocabulary": 500_000, "width": 64, "samples": 4096, "rows": 4096},
        {"vocabulary": 1_000_000, "width": 64, "samples": 8192, "rows": 4096},
        {"vocabulary": 2_000_000, "width": 64, "samples": 8192, "rows": 8192},
    ),
    *_cases(
        "nce",
        {"vocabulary": 500_000, "width": 64, "samples": 4096, "rows": 4096},
        {"vocabulary": 1_000_000, "width": 64, "samples": 8192, "rows": 4096},
        {"vocabulary": 2_000_000, "width": 64, "samples": 8192, "rows": 8192},
    ),
    *_cases(
        "transformer",
        {"layers": 2, "heads": 4, "width": 256, "vocabulary": 8000, "sequence": 128, "rows": 16},
        {"layers": 4, "heads": 4, "width": 256, "vocabulary": 8000, "sequence": 256, "rows": 16},
        {"layers": 4, "heads": 8, "width": 512, "vocabulary": 16000, "sequence": 256, "rows": 16},
    ),
)


class Row(NamedTuple):
    """Bytes beyond the idle framework, of one role in one case."""

    model: str
    size: str
    role: str
    predicted: int
    measured: int
    idle: int

    @property
    def off(self) -> float:
        """By which share of the measured the prediction is too high, or (negative) too low."""
        return self.predicted / self.measured - 1


def peak_bytes(pid: int) -> int:
    """High-water mark of a process's resident memory."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found, f"process {pid} has no memory of its own"
    return int(found[1]) * 1024


def wait_until_done(cluster: LocalCluster) -> None:
    trainers = [member for member in cluster.members if not member.rank.startswith("ps:")]
    while not all(member.said("done") for member in trainers):
        if exits := cluster.exits():
            sys.exit(f"a rank ended: {exits}; see its log in {trainers[0].directory.parent}")
        time.sleep(0.2)


def measure(case: Case, runtime: Runtime, directory: Path, servers: int, epochs: int) -> list[Row]:
    story = scenarios.find("last-batch")
    given = {"model": case.model, "ps": servers, "epoch_ends": epochs, **case.settings}
    settings = story.resolve({key: str(value) for key, value in given.items()})
    orders = [NodeOrder(rank, story.program, "dataset", settings) for rank in story.ranks(settings)]
    with local_cluster(runtime, orders, directory) as cluster:
        wait_until_ready(cluster)
        wait_until_done(cluster)
        idle = {member.rank: int((member.directory / "ready").read_text()) for member in cluster.members}
        beyond = {member.rank: peak_bytes(member.pid) - idle[member.rank] for member in cluster.members}
    workload = workloads.find(case.model)
    needs = {need.rank: need.bytes for need in workloads.plan(workload, workloads.complete(workload, settings)).ranks}
    largest = {role: max((rank for rank in needs if rank.startswith(role)), key=beyond.__getitem__)
               for role in ("ps:", "worker:")}  # fmt: skip
    return [
        Row(case.model, case.size, role.rstrip(":"), needs[rank], beyond[rank], idle[rank])
        for role, rank in largest.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", default="tf1.12")
    parser.add_argument("--only", default="")
    parser.add_argument("--servers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    runtime = ensure(asked.runtime)
    print(f"{'workload':16} {'size':7} {'role':7} {'idle':>8} {'predicted':>10} {'measured':>9} {'off':>6}", file=sys.stderr)
    rows = []
    for case in CASES:
        if asked.only not in case.model:
            continue
        with tempfile.TemporaryDirectory(prefix="lastbatch-memory-") as directory:
            rows += measure(case, runtime, Path(directory, "trial"), asked.servers, asked.epochs)
        for row in rows[-2:]:
            figures = f"{row.idle / MIB:6.0f} MB {row.predicted / MIB:7.0f} MB {row.measured / MIB:6.0f} MB {row.off:+6.1%}"
            print(f"{row.model:16} {row.size:7} {row.role:7} {figures}", file=sys.stderr, flush=True)
    if asked.json:
        print(json.dumps([{**row._asdict(), "off": round(row.off, 4)} for row in rows], indent=2))


if __name__ == "__main__":
    main()
