"""A rank that never comes up."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import msgspec

from repro.cluster import Cluster, Control, RankSpec
from repro.faults.base import Fault


class Absent(Fault, frozen=True):
    """The others have its address, and nobody serves there. In force from the start: the rank is not started."""

    name: ClassVar[str] = "absent"
    family: ClassVar[str] = "peer-startup"
    example: ClassVar[str] = "absent:worker:1"
    needs: ClassVar[Control] = Control.ABSENCE
    heals: ClassVar[bool] = False

    def prepared(self, spec: RankSpec, directory: Path) -> RankSpec:
        return msgspec.structs.replace(spec, absent=True)

    def strike(self, cluster: Cluster) -> None:
        """Nothing is left to be done."""
