"""A rank that gets a small share of a core only."""

from __future__ import annotations

from typing import ClassVar

from repro.cluster import Cluster
from repro.faults.base import Fault, docker_of, unless_gone

_PERIOD = 100_000


class Throttle(Fault, frozen=True):
    """`cpus` is the share of one core that all its threads have together: the cgroup's quota."""

    name: ClassVar[str] = "throttle"
    family: ClassVar[str] = "throttled"
    example: ClassVar[str] = "throttle:ps:1,cpus=0.05,at=5"
    places: ClassVar[tuple[str, ...]] = ("docker",)
    elsewhere: ClassVar[str] = "processes share this machine's cores, none has a quota of its own"

    cpus: float = 0.05

    def strike(self, cluster: Cluster) -> None:
        self._set(cluster, max(1000, int(self.cpus * _PERIOD)))

    def heal(self, cluster: Cluster) -> None:
        with unless_gone():
            self._set(cluster, -1)

    def _set(self, cluster: Cluster, quota: int) -> None:
        containers = docker_of(cluster)
        assert containers
        containers.client.api.update_container(
            containers.containers[self.target], cpu_period=_PERIOD, cpu_quota=quota
        )
