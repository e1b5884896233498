"""A file system that stops answering, as a network file system does when its server is gone."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import msgspec

from repro.cluster import Cluster, Control, RankSpec
from repro.faults.base import Fault


class StallDisk(Fault, frozen=True):
    """The rank's data lies on a disk of ours (`repro.cluster.disk`), which answers nothing until it is healed."""

    name: ClassVar[str] = "stall-disk"
    family: ClassVar[str] = "filesystem-stall"
    example: ClassVar[str] = "stall-disk:worker:0,at=5"
    needs: ClassVar[Control] = Control.DISK

    def prepared(self, spec: RankSpec, directory: Path) -> RankSpec:
        return msgspec.structs.replace(spec, data=directory / "disks" / spec.rank.replace(":", "-"))

    def strike(self, cluster: Cluster) -> None:
        cluster.disks[self.target].stall()

    def heal(self, cluster: Cluster) -> None:
        cluster.disks[self.target].answer()
