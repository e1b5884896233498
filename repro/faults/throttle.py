"""A rank that gets a small share of a core only."""

from __future__ import annotations

from typing import ClassVar

from repro.cluster import Cluster, Control
from repro.faults.base import Fault


class Throttle(Fault, frozen=True):
    """`cpus` is the share of one core that all its threads have together: the cgroup's quota."""

    name: ClassVar[str] = "throttle"
    family: ClassVar[str] = "throttled"
    example: ClassVar[str] = "throttle:ps:1,cpus=0.05,at=5"
    needs: ClassVar[Control] = Control.CPU

    cpus: float = 0.05

    def strike(self, cluster: Cluster) -> None:
        cluster.limit_cpu(self.target, self.cpus)

    def heal(self, cluster: Cluster) -> None:
        cluster.limit_cpu(self.target, None)
