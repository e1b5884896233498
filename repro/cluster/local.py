"""The ranks of a trial as processes of this machine, on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from diagnostics.errors import LastbatchError
from diagnostics.model import Memory
from repro.cluster import Cluster, Member, RankSpec, supervisor
from repro.cluster.ports import lease
from repro.cluster.staging import NODE_ENVIRONMENT, arguments, stage
from repro.runtimes import Runtime

# What would make a rank find other packages than its runtime's, or another number of threads than it was told;
# or make gRPC look for its peers, which are on loopback, behind a proxy.
_KEPT_OUT = (
    "PYTHON", "VIRTUAL_ENV", "TF_", "OMP_", "LASTBATCH_", "GRPC_", "grpc_proxy", "http_proxy", "https_proxy",
)  # fmt: skip


def node_environment(code: Path, path: Sequence[Path] = ()) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_KEPT_OUT)}
    return kept | NODE_ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(map(str, (code, *path)))}


class LocalCluster(Cluster):
    """See `Cluster`. Reads what the supervisor says."""

    def __init__(
        self, process: subprocess.Popen[bytes], homes: dict[str, Path], addresses: dict[str, str], count: int
    ) -> None:
        super().__init__()
        assert process.stdout
        self._process = process
        self._said = process.stdout
        self._exits: dict[str, int] = {}
        for _ in range(count):
            message = json.loads(self._said.readline() or b"{}")
            if "pid" not in message:
                raise _not_started(message)
            rank = message["rank"]
            self.members += (Member(rank, message["pid"], homes[rank], addresses[rank]),)
        os.set_blocking(self._said.fileno(), False)

    def exits(self) -> dict[str, int]:
        """See `Cluster`. Raises: LastbatchError: somebody killed the supervisor, and so the ranks."""
        ended = self._process.poll() is not None
        while line := self._said.readline():
            message = json.loads(line)
            self._exits[message["rank"]] = message["status"]
        if ended:
            raise LastbatchError("the supervisor of the ranks was killed, and they with it", "Run it again")
        return dict(self._exits)

    def out_of_memory(self) -> dict[str, Memory]:
        return {}  # processes share this machine's memory: none has a limit of its own


def _not_started(message: dict[str, str]) -> LastbatchError:
    if "error" not in message:
        return LastbatchError("the supervisor was killed before it had started every rank", "Run it again")
    return LastbatchError(f"{message['rank']} could not be started: {message['error']}", "See lastbatch doctor")


@contextmanager
def local_cluster(
    runtime: Runtime, specs: Sequence[RankSpec], directory: Path, path: Sequence[Path] = ()
) -> Iterator[LocalCluster]:
    """Start a process for each spec; all are gone when the block ends. `path`: more folders where it finds modules."""
    with lease(len(specs)) as ports:
        addresses = {spec.rank: f"127.0.0.1:{port}" for spec, port in zip(specs, ports, strict=True)}
        code, homes = stage(directory, runtime.name, specs, addresses)
        environment = node_environment(code, path)
        plans = [
            {
                "rank": spec.rank, "argv": [str(runtime.python), *arguments(spec, homes[spec.rank])],
                "env": environment, "cwd": str(homes[spec.rank]), "log": str(homes[spec.rank] / "log"),
            }
            for spec in specs
            if not spec.absent
        ]  # fmt: skip
        with subprocess.Popen(
            [sys.executable, "-I", supervisor.__file__],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        ) as process:  # fmt: skip
            assert process.stdin
            try:
                with suppress(BrokenPipeError):  # it was killed: what it says, or does not, tells
                    process.stdin.write(json.dumps(plans).encode() + b"\n")
                    process.stdin.flush()
                yield LocalCluster(process, homes, addresses, len(plans))
            finally:
                with suppress(BrokenPipeError):
                    process.stdin.close()
                process.wait()
