"""How many bytes each rank of a scenario needs, and whether this machine has them."""

from __future__ import annotations

from pathlib import Path

from diagnostics.report.text import size
from repro.setting import Settings
from repro.workloads.known import complete, find
from repro.workloads.plan import plan

MIB = 1 << 20
_IDLE = {"tensorflow-1": 180 * MIB, "tensorflow-2": 420 * MIB, "torch": 250 * MIB}
"""Resident bytes of a rank in a job that has next to nothing to train: on 1.12 174 on a worker, 169 on a server.

Those of TensorFlow 2 and PyTorch are rounded up from single runs."""


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


def too_large(settings: Settings, runtime: str) -> str:
    """A warning where a trial cannot fit this machine, else nothing."""
    if "model" not in settings:
        return ""
    needed = memory_needed(settings, runtime)
    together, there = sum(needed.values()), room()
    if together <= there:
        return ""
    rank = max(needed, key=needed.__getitem__)
    return (
        f"{size(together)} of memory are needed for {len(needed)} ranks (most for {rank}: {size(needed[rank])}), and "
        f"this machine has {size(there)} free: expect ranks to be killed. See lastbatch plan {settings['model']}"
    )
