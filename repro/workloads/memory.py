"""How many bytes each rank of a scenario needs, and whether this machine has them."""

from __future__ import annotations

from pathlib import Path

from repro.setting import Settings
from repro.workloads.known import complete, find
from repro.workloads.plan import plan

MIB = 1 << 20
_IDLE = {"tensorflow-1": 160 * MIB, "tensorflow-2": 420 * MIB, "torch": 250 * MIB}
"""Resident bytes of a rank that has imported the framework and started its server."""


def idle_bytes(runtime: str) -> int:
    """What a rank takes before it has a graph, e.g. on `tf1.12`, in bytes."""
    family = "torch" if runtime.startswith("torch") else f"tensorflow-{runtime.removeprefix('tf')[:1]}"
    return _IDLE.get(family, max(_IDLE.values()))


def memory_needed(settings: Settings, runtime: str) -> dict[str, int]:
    """Bytes at the peak by rank, the framework included.

    Args:
        settings: a scenario's; its `model` says which workload. What is missing has the workload's default.
        runtime: e.g. `tf1.12`.
    """
    workload = find(settings["model"])
    idle = idle_bytes(runtime)
    return {need.rank: idle + need.bytes for need in plan(workload, complete(workload, settings)).ranks}


def room() -> int:
    """Bytes that new processes of this machine can have without swapping."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024
