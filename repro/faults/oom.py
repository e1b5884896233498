"""A rank that the kernel kills, because its container has come to its memory limit."""

from __future__ import annotations

from typing import ClassVar

from repro.cluster import Cluster, Control
from repro.faults.base import Fault


class Oom(Fault, frozen=True):
    """The limit becomes `spare` MiB more than the plan says that the rank needs, or than it uses now if that is more. A
    neighbour in its container takes the rest, and the kernel is told to kill the rank of the two.
    """

    name: ClassVar[str] = "oom"
    family: ClassVar[str] = "out-of-memory"
    example: ClassVar[str] = "oom:ps:1,at=5"
    needs: ClassVar[Control] = Control.MEMORY
    heals: ClassVar[bool] = False

    spare: int = 16

    def strike(self, cluster: Cluster) -> None:
        cluster.exhaust_memory(self.target, self.spare << 20)
