"""How many bytes each rank of a scenario needs, and whether this machine has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from diagnostics.report.text import size
from repro.setting import Settings
from repro.workloads.known import WORKLOADS, complete
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
        settings: a scenario's; its `model` says which workload (without one nothing is known). A job without `ps` has
            no servers; what else is missing has the workload's default.
        runtime: e.g. `tf1.12`.
    """
    workload = WORKLOADS.get(settings.get("model", ""))
    if not workload:
        return {}
    idle = idle_bytes(runtime)
    return {need.rank: idle + need.bytes for need in plan(workload, complete(workload, {"ps": 0, **settings})).ranks}


def room() -> int:
    """Bytes that new processes of this machine can have without swapping."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024


def warnings(settings: Settings, runtime: str, limit: int = 0) -> Iterator[str]:
    """Why a trial will run out of memory, as the plan says: on this machine, or a rank at its `limit` in bytes."""
    needed = memory_needed(settings, runtime)
    if not needed:
        return
    rank = max(needed, key=needed.__getitem__)
    together, there = sum(needed.values()), room()
    where = f"expect ranks to be killed. See lastbatch plan {settings['model']}"
    if together > there:
        yield (
            f"{size(together)} of memory are needed for {len(needed)} ranks (most for {rank}: {size(needed[rank])}), "
            f"and this machine has {size(there)} free: {where}"
        )
    if 0 < limit < needed[rank]:
        yield f"{rank} needs {size(needed[rank])} of memory, and its limit is {size(limit)}: {where}"
