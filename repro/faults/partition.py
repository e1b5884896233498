"""Two ranks of which one, or neither, hears the other."""

from __future__ import annotations

from typing import ClassVar

from diagnostics.errors import UsageError
from repro.cluster import Cluster, Control
from repro.faults.base import Fault


class Partition(Fault, frozen=True):
    """`ps:1>worker:0` drops what ps:1 sends to worker:0; `ps:1<>worker:0` what either sends to the other.

    It is dropped where it arrives, so that the sender learns of it only by waiting, as from a switch that fails.
    """

    name: ClassVar[str] = "partition"
    family: ClassVar[str] = "network-partition"
    example: ClassVar[str] = "partition:ps:1<>worker:0,at=5"
    needs: ClassVar[Control] = Control.CUT_OFF

    def __post_init__(self) -> None:
        if ">" not in self.target:
            raise UsageError(f"partition {self.target!r} lacks a direction", f"For example --fault {self.example}")

    @property
    def ranks(self) -> tuple[str, ...]:
        sender, _, receiver = self.target.partition(">")
        return sender.removesuffix("<"), receiver

    @property
    def _directions(self) -> tuple[tuple[str, str], ...]:
        sender, receiver = self.ranks
        return ((sender, receiver), (receiver, sender)) if "<>" in self.target else ((sender, receiver),)

    def strike(self, cluster: Cluster) -> None:
        for sender, receiver in self._directions:
            cluster.cut_off(sender, receiver)

    def heal(self, cluster: Cluster) -> None:
        for sender, receiver in self._directions:
            cluster.reconnect(sender, receiver)
