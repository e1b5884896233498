"""A rank that is ended by a signal."""

from __future__ import annotations

import os
from typing import ClassVar

from repro.cluster import Cluster
from repro.faults.base import Fault, member_of


class Kill(Fault, frozen=True):
    """`signal` is its number: 9 unless given."""

    name: ClassVar[str] = "kill"
    family: ClassVar[str] = "peer-dead"
    example: ClassVar[str] = "kill:ps:1,at=5,signal=9"
    heals: ClassVar[bool] = False

    signal: int = 9

    def strike(self, cluster: Cluster) -> None:
        os.kill(member_of(cluster, self.target).pid, self.signal)
