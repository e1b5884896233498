"""A rank that stands still, with all its threads, while the kernel goes on acknowledging what it is sent."""

from __future__ import annotations

from typing import ClassVar

from repro.cluster import Cluster, Control
from repro.faults.base import Fault


class Freeze(Fault, frozen=True):
    """In a container by the cgroup freezer, which no program can see coming; else by SIGSTOP."""

    name: ClassVar[str] = "freeze"
    family: ClassVar[str] = "frozen"
    example: ClassVar[str] = "freeze:ps:1,at=worker:0@3,for=2"
    needs: ClassVar[Control] = Control.PAUSE

    def strike(self, cluster: Cluster) -> None:
        cluster.pause(self.target)

    def heal(self, cluster: Cluster) -> None:
        cluster.resume(self.target)
