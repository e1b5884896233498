"""A rank that is ended by a signal."""

from __future__ import annotations

from typing import ClassVar

from repro.cluster import Cluster, Control
from repro.faults.base import Fault


class Kill(Fault, frozen=True):
    """`signal` is its number: 9 unless given."""

    name: ClassVar[str] = "kill"
    family: ClassVar[str] = "peer-dead"
    example: ClassVar[str] = "kill:ps:1,at=5,signal=9"
    needs: ClassVar[Control] = Control.SIGNAL
    heals: ClassVar[bool] = False

    signal: int = 9

    def strike(self, cluster: Cluster) -> None:
        cluster.signal(self.target, self.signal)
