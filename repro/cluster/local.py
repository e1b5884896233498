"""The ranks of a trial as processes of this machine, on loopback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diagnostics
import repro
from diagnostics.errors import LastbatchError
from repro.cluster import Member, NodeOrder, supervisor
from repro.cluster.ports import lease
from repro.runtimes import Runtime

# What would make a rank find other packages than its runtime's, or another number of threads than it was told.
_KEPT_OUT = ("PYTHON", "VIRTUAL_ENV", "TF_", "OMP_", "LASTBATCH_", "GRPC_")


def stage_code(directory: Path) -> None:
    """Copy what runs inside a job into `directory`: its interpreter must see nothing else of this one's."""
    for package, parts in ((diagnostics, ("recorder",)), (repro, ("nodes",))):
        source = Path(str(package.__file__)).parent
        target = directory / source.name
        target.mkdir(parents=True)
        shutil.copy(source / "__init__.py", target)
        for part in parts:
            shutil.copytree(source / part, target / part, ignore=shutil.ignore_patterns("__pycache__"))


def node_environment(code: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_KEPT_OUT)}
    return kept | {
        "PYTHONPATH": str(code),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "GRPC_ENABLE_FORK_SUPPORT": "0",
    }


class LocalCluster:
    """See `Cluster`. Reads what the supervisor says."""

    def __init__(self, process: subprocess.Popen[bytes], directories: dict[str, Path]) -> None:
        assert process.stdout
        self._process = process
        self._said = process.stdout
        self._exits: dict[str, int] = {}
        self.members: tuple[Member, ...] = ()
        for _ in directories:
            message = json.loads(self._said.readline() or b"{}")
            if "pid" not in message:
                raise LastbatchError("the supervisor ended before it had started every rank")
            rank = message["rank"]
            self.members += (Member(rank, message["pid"], directories[rank]),)
        os.set_blocking(self._said.fileno(), False)

    def exits(self) -> dict[str, int]:
        while line := self._said.readline():
            message = json.loads(line)
            self._exits[message["rank"]] = message["status"]
        return dict(self._exits)


def addresses_of(ranks: Sequence[str], ports: Sequence[int]) -> dict[str, list[str]]:
    """role -> addresses by index, for ranks in the order of their index."""
    table: dict[str, list[str]] = {}
    for rank, port in zip(ranks, ports, strict=True):
        table.setdefault(rank.split(":")[0], []).append(f"127.0.0.1:{port}")
    return table


@contextmanager
def local_cluster(runtime: Runtime, orders: Sequence[NodeOrder], directory: Path) -> Iterator[LocalCluster]:
    """Start a process for each order; all are gone when the block ends."""
    ranks = [order.rank for order in orders]
    assert max(Counter(ranks).values()) == 1
    directory = directory.resolve()  # ranks have working directories of their own
    code = directory / "code"
    stage_code(code)
    environment = node_environment(code)
    directories = {rank: directory / rank.replace(":", "-") for rank in ranks}
    with lease(len(ranks)) as ports:
        addresses = addresses_of(ranks, ports)
        plans: list[dict[str, Any]] = []
        for order in orders:
            home = directories[order.rank]
            home.mkdir()
            told = {
                "rank": order.rank, "addresses": addresses, "settings": order.settings, "arm": order.arm,
                "directory": str(home), "runtime": runtime.name, "expected": ranks,
            }  # fmt: skip
            (home / "orders.json").write_text(json.dumps(told))
            argv = [str(runtime.python), "-m", f"repro.nodes.{order.program}", str(home / "orders.json")]
            plans.append(
                {"rank": order.rank, "argv": argv, "env": environment, "cwd": str(home), "log": str(home / "log")}
            )
        with subprocess.Popen(
            [sys.executable, "-I", supervisor.__file__],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        ) as process:  # fmt: skip
            assert process.stdin
            try:
                process.stdin.write(json.dumps(plans).encode() + b"\n")
                process.stdin.flush()
                yield LocalCluster(process, directories)
            finally:
                process.stdin.close()
                process.wait()
