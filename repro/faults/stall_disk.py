"""A file system that stops answering, as a network file system does when its server is gone."""

from __future__ import annotations

from typing import ClassVar

from repro.cluster import Cluster
from repro.faults.base import Fault


class StallDisk(Fault, frozen=True):
    """The rank's data lies on a file system of ours (`disk`), which answers nothing until it is healed."""

    name: ClassVar[str] = "stall-disk"
    family: ClassVar[str] = "filesystem-stall"
    example: ClassVar[str] = "stall-disk:worker:0,at=5"

    def strike(self, cluster: Cluster) -> None:
        cluster.disks[self.target].stall()

    def heal(self, cluster: Cluster) -> None:
        cluster.disks[self.target].answer()
