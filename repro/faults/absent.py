"""A rank that never comes up."""

from __future__ import annotations

from typing import ClassVar

from repro.cluster import Cluster
from repro.faults.base import Fault


class Absent(Fault, frozen=True):
    """The others have its address, and nobody serves there. In force from the start: the rank is not started."""

    name: ClassVar[str] = "absent"
    family: ClassVar[str] = "peer-startup"
    example: ClassVar[str] = "absent:worker:1"
    heals: ClassVar[bool] = False

    def strike(self, cluster: Cluster) -> None:
        """Nothing is left to be done: see `trial`."""
