"""Predicted beside measured peak memory of every workload, by role, beyond the idle framework.

    python bench/memory.py                     # every workload in three sizes on tf1.12, ten minutes on two quiet cores
    python bench/memory.py --only "nce|large"  # cases whose name has this regular expression in it
    python bench/memory.py --runtime tf1.15 --json

The peak is the kernel's high-water mark of a rank's resident memory; of several ranks in a role the largest counts. The
idle framework is that same peak in a job that has next to nothing to train (one variable of one value): imports,
connections, thread pools, one small graph.
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
from repro.cluster import RankSpec
from repro.cluster.local import LocalCluster, local_cluster
from repro.runtimes import Runtime, ensure
from repro.setting import Settings
from repro.trial import wait_until_ready

MIB = 1 << 20


class Case(NamedTuple):
    """A workload in one size."""

    model: str
    size: str
    settings: dict[str, int]
    servers: int = 2

    @property
    def name(self) -> str:
        return f"{self.model} {self.size}"


def _cases(model: str, *sizes: dict[str, int]) -> list[Case]:
    return [Case(model, name, size) for name, size in zip(("small", "medium", "large"), sizes, strict=True)]


CASES = (
    *_cases(
        "wide",
        {"variables": 200, "width": 200_000, "rows": 128},
        {"variables": 200, "width": 200_000, "rows": 256},
        {"variables": 400, "width": 200_000, "rows": 384},
    ),
    *_cases(
        "ctr",
        {"variables": 8, "vocabulary": 200_000, "width": 32, "hidden": 512, "rows": 8192},
        {"variables": 8, "vocabulary": 400_000, "width": 32, "hidden": 1024, "rows": 16384},
        {"variables": 12, "vocabulary": 400_000, "width": 32, "hidden": 1024, "rows": 24576},
    ),
    *_cases(
        "sampled-softmax",
        {"vocabulary": 500_000, "width": 64, "samples": 8192, "rows": 4096},
        {"vocabulary": 1_000_000, "width": 64, "samples": 8192, "rows": 8192},
        {"vocabulary": 2_000_000, "width": 64, "samples": 16384, "rows": 8192},
    ),
    *_cases(
        "nce",
        {"vocabulary": 500_000, "width": 64, "samples": 8192, "rows": 4096},
        {"vocabulary": 1_000_000, "width": 64, "samples": 8192, "rows": 8192},
        {"vocabulary": 2_000_000, "width": 64, "samples": 16384, "rows": 8192},
    ),
    *_cases(
        "transformer",
        {"layers": 4, "heads": 8, "width": 512, "vocabulary": 16000, "sequence": 256, "rows": 4},
        {"layers": 4, "heads": 8, "width": 768, "vocabulary": 16000, "sequence": 256, "rows": 4},
        {"layers": 6, "heads": 16, "width": 1024, "vocabulary": 16000, "sequence": 256, "rows": 4},
    ),
    Case("sampled-softmax", "10million", {"vocabulary": 10_000_000, "width": 32, "samples": 8192, "rows": 4096}, 4),
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
        for rank, status in cluster.exits().items():
            log = next(member.directory for member in cluster.members if member.rank == rank) / "log"
            sys.exit(f"{rank} ended with status {status}:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.2)


class Bench(NamedTuple):
    """Where and how the cases run."""

    runtime: Runtime
    epochs: int

    def peaks(self, case: Case) -> tuple[Settings, dict[str, int]]:
        """The settings of a job, and the peak of each of its ranks."""
        story = scenarios.find("last-batch")
        given = {"model": case.model, "ps": case.servers, "epoch_ends": self.epochs, **case.settings}
        settings = story.resolve({key: str(value) for key, value in given.items()})
        specs = [RankSpec(rank, story.program, "dataset", settings) for rank in story.ranks(settings)]
        with (
            tempfile.TemporaryDirectory(prefix="lastbatch-memory-") as directory,
            local_cluster(self.runtime, specs, Path(directory, "trial")) as cluster,
        ):
            wait_until_ready(cluster)
            wait_until_done(cluster)
            return settings, {member.rank: peak_bytes(member.pid) for member in cluster.members}

    def idle(self) -> dict[str, int]:
        """Peak by role of a job that has next to nothing to train."""
        return fullest(self.peaks(Case("wide", "", {"variables": 1, "width": 1, "rows": 1}))[1])

    def measure(self, case: Case, idle: dict[str, int]) -> list[Row]:
        settings, peaks = self.peaks(case)
        workload = workloads.find(case.model)
        needs = workloads.plan(workload, workloads.complete(workload, settings)).ranks
        predicted = fullest({need.rank: need.bytes for need in needs})
        return [
            Row(case.model, case.size, role, predicted[role], peak - idle[role], idle[role])
            for role, peak in fullest(peaks).items()
        ]


def fullest(ranks: dict[str, int]) -> dict[str, int]:
    """By role the largest of its ranks."""
    found: dict[str, int] = {}
    for rank, count in ranks.items():
        role = rank.split(":")[0]
        found[role] = max(count, found.get(role, 0))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", default="tf1.12")
    parser.add_argument("--only", default="")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    bench = Bench(ensure(asked.runtime), asked.epochs)
    idle = bench.idle()
    heads = f"{'workload':16} {'size':10} {'role':7} {'idle':>9} {'predicted':>10} {'measured':>9} {'off':>6}"
    print(heads, file=sys.stderr)
    rows: list[Row] = []
    for case in CASES:
        if not re.search(asked.only, case.name):
            continue
        rows += bench.measure(case, idle)
        for row in rows[-2:]:
            idle_, predicted, measured = (count / MIB for count in (row.idle, row.predicted, row.measured))
            figures = f"{idle_:5.0f} MiB {predicted:6.0f} MiB {measured:5.0f} MiB {row.off:+6.1%}"
            print(f"{row.model:16} {row.size:10} {row.role:7} {figures}", file=sys.stderr, flush=True)
    if asked.json:
        print(json.dumps([{**row._asdict(), "off": round(row.off, 4)} for row in rows], indent=2))


if __name__ == "__main__":
    main()
