"""Where a trial's ranks can run, as values: `--backend` of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import msgspec

from diagnostics.errors import UsageError
from repro.cluster import Cluster, RankSpec
from repro.cluster.limits import NodeLimits
from repro.cluster.local import local_cluster
from repro.runtimes import Runtime, ensure, parse
from repro.runtimes.build import choose_interpreter
from repro.runtimes.pip import Progress


class Backend(Protocol):
    """A place for clusters."""

    @property
    def name(self) -> str: ...

    def cluster(
        self, runtime: Runtime, specs: Sequence[RankSpec], directory: Path
    ) -> AbstractContextManager[Cluster]: ...


class Local(msgspec.Struct, frozen=True):
    """Processes of this machine."""

    name: str = "local"

    def cluster(self, runtime: Runtime, specs: Sequence[RankSpec], directory: Path) -> AbstractContextManager[Cluster]:
        return local_cluster(runtime, specs, directory)


class Docker(msgspec.Struct, frozen=True):
    """Containers of one image."""

    image: str
    limits: NodeLimits = NodeLimits()
    name: str = "docker"

    def cluster(self, runtime: Runtime, specs: Sequence[RankSpec], directory: Path) -> AbstractContextManager[Cluster]:
        from repro.cluster.docker import docker_cluster

        return docker_cluster(self.image, runtime.name, specs, directory, self.limits)


def prepare(backend: str, runtime: str, limits: NodeLimits, progress: Progress) -> tuple[Backend, Runtime]:
    """The place and the runtime in it, made ready: an environment here, or an image.

    Raises:
        UsageError: no such runtime; limits for a place that has none.
        MissingError: see `ensure` and `ensure_image`.
    """
    if backend == "local":
        if limits != NodeLimits():
            raise UsageError("processes of this machine have no limits of their own", "Add --backend docker")
        return Local(), ensure(runtime, progress=progress)
    # The engine's client is imported where it is used: it takes longer than the rest of the command line.
    from repro.cluster.engine import connect
    from repro.cluster.images import ensure_image

    client = connect()
    try:
        image = ensure_image(client, runtime, progress)
    finally:
        client.close()
    spec = parse(runtime)
    inside = Runtime(
        spec.name, Path("python3"), choose_interpreter(spec).version, spec.framework, spec.framework_version, Path()
    )
    return Docker(image, limits), inside
