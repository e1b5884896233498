"""What every kind of cluster lays out before it starts: the code of the nodes, a directory and a spec for each rank."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import diagnostics
import repro
from repro.cluster import RankSpec

NODE_ENVIRONMENT = {
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "GRPC_ENABLE_FORK_SUPPORT": "0",
    # By itself glibc learns to keep freed tensors of up to 32 MiB in pieces: a peak half as high again as what
    # is in use, and no limit could be taken from a plan.
    "MALLOC_MMAP_THRESHOLD_": str(1 << 20),
}
"""Given to every node program, wherever it runs; PYTHONPATH comes besides."""


class Stage(NamedTuple):
    """`code` goes on the nodes' PYTHONPATH; `homes` holds a directory for each rank, with `spec.json` in it."""

    code: Path
    homes: dict[str, Path]


def stage(directory: Path, runtime: str, specs: Sequence[RankSpec], addresses: Mapping[str, str]) -> Stage:
    """Lay out a trial below `directory`.

    Args:
        runtime: its name, for the recorders.
        addresses: rank -> `host:port`, where it will serve.
    """
    ranks = [spec.rank for spec in specs]
    assert max(Counter(ranks).values()) == 1
    directory = directory.resolve()  # ranks have working directories of their own
    stage_code(directory / "code")
    homes = {rank: directory / rank.replace(":", "-") for rank in ranks}
    table = addresses_by_role({rank: addresses[rank] for rank in ranks})
    for spec in specs:
        home = homes[spec.rank]
        home.mkdir()
        told = {
            "rank": spec.rank, "addresses": table, "settings": spec.settings, "arm": spec.arm,
            "directory": str(home), "data": str(spec.data or home), "runtime": runtime, "expected": ranks,
        }  # fmt: skip
        (home / "spec.json").write_text(json.dumps(told))
    return Stage(directory / "code", homes)


def arguments(spec: RankSpec, home: Path) -> list[str]:
    """What comes after the interpreter on a node's command line."""
    return ["-m", f"repro.nodes.{spec.program}", str(home / "spec.json")]


def stage_code(directory: Path) -> None:
    """Copy what runs inside a job: its interpreter must see nothing else of this one's."""
    for package, parts in ((diagnostics, ("recorder",)), (repro, ("nodes",))):
        source = Path(str(package.__file__)).parent
        target = directory / source.name
        target.mkdir(parents=True)
        shutil.copy(source / "__init__.py", target)
        for part in parts:
            shutil.copytree(source / part, target / part, ignore=shutil.ignore_patterns("__pycache__"))


def addresses_by_role(addresses: Mapping[str, str]) -> dict[str, list[str]]:
    """role -> addresses by index, for ranks in the order of their index."""
    table: dict[str, list[str]] = {}
    for rank, address in addresses.items():
        table.setdefault(rank.split(":")[0], []).append(address)
    return table
