"""What a Docker cluster takes on this machine: the time to start, and how many ranks it holds.

    python bench/containers.py                     # 5 ranks, then 30
    python bench/containers.py --ps 20 --workers 10
    python bench/containers.py --json
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from diagnostics.collector.sources import cgroup
from diagnostics.transport import flight
from repro import scenarios
from repro.cluster import Cluster, RankSpec
from repro.cluster.docker import docker_cluster
from repro.cluster.engine import connect
from repro.cluster.images import ensure_image
from repro.trial import epoch_ends_of, recorder_of, wait_until_ready

RUNTIME = "tf1.12"
TRAINING = 20.0
"""Seconds of training that are looked at."""


def measure(servers: int, workers: int) -> dict[str, Any]:
    """One trial of small graphs, with a queue as input, so that it does not hang."""
    story = scenarios.find("last-batch")
    given = {"ps": servers, "workers": workers, "variables": 2 * servers, "epoch_ends": 100_000, "inter_op": 1}
    settings = story.resolve({key: str(value) for key, value in given.items()}, "dataset")
    specs = [RankSpec(rank, story.program, "dataset", settings) for rank in story.ranks(settings)]
    client = connect()
    image = ensure_image(client, RUNTIME)
    client.close()
    with tempfile.TemporaryDirectory() as scratch:
        began = time.monotonic()
        with docker_cluster(image, RUNTIME, specs, Path(scratch) / "trial") as cluster:
            running = time.monotonic()
            wait_until_ready(cluster)
            ready = time.monotonic()
            found = {"ranks": len(specs), "containers": running - began, "ready": ready - began} | _train(cluster)
            ended = time.monotonic()
        return found | {"removed": time.monotonic() - ended, "load": os.getloadavg()[0]}


def _train(cluster: Cluster) -> dict[str, Any]:
    workers = [member for member in cluster.members if member.rank.startswith("worker")]
    deadline = time.monotonic() + 300
    while not all((seen := flight.load(recorder_of(one), tail=1)) and seen.epoch_ends for one in workers):
        if time.monotonic() > deadline or cluster.exits():
            return {"training": f"not all workers: {sum(bool(flight.load(recorder_of(o), tail=1)) for o in workers)}"}
        time.sleep(0.2)
    before, at = epoch_ends_of(cluster.members), time.monotonic()
    psutil.cpu_percent()
    time.sleep(TRAINING)
    rate = (epoch_ends_of(cluster.members) - before) / (time.monotonic() - at)
    memory = [group.memory for member in cluster.members if (group := cgroup.group_of(member.pid))]
    return {
        "epoch_ends_a_second": rate,
        "memory_mib_a_rank": sum(memory) / len(memory) / 2**20,
        "memory_mib": sum(memory) / 2**20,
        "cpu_percent": psutil.cpu_percent(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ps", type=int)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    sizes = [(chosen.ps, chosen.workers)] if chosen.ps else [(4, 1), (20, 10)]
    found = [measure(*size) for size in sizes]
    if chosen.json:
        print(json.dumps(found, indent=2))
        return
    for one in found:
        shown = {key: f"{value:.1f}" if isinstance(value, float) else str(value) for key, value in one.items()}
        print(", ".join(f"{key} {value}" for key, value in shown.items()))


if __name__ == "__main__":
    main()
