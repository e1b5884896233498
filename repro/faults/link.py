"""A rank whose link is slow, lossy or narrow, in what it sends."""

from __future__ import annotations

from typing import ClassVar

from repro.cluster import Cluster, Control, Link
from repro.faults.base import Fault


class LinkFault(Fault, frozen=True):
    needs: ClassVar[Control] = Control.LINK
    family: ClassVar[str] = "slow"

    @property
    def link(self) -> Link:
        raise NotImplementedError

    def strike(self, cluster: Cluster) -> None:
        cluster.degrade_link(self.target, self.link)

    def heal(self, cluster: Cluster) -> None:
        cluster.restore_link(self.target)


class Delay(LinkFault, frozen=True):
    """Everything that the rank sends arrives `ms` milliseconds later."""

    name: ClassVar[str] = "delay"
    example: ClassVar[str] = "delay:ps:1,ms=200,at=5,for=10"

    ms: int = 200

    @property
    def link(self) -> Link:
        return Link(delay_ms=self.ms)


class Loss(LinkFault, frozen=True):
    """Of what the rank sends, `percent` of the packets are lost."""

    name: ClassVar[str] = "loss"
    example: ClassVar[str] = "loss:ps:1,percent=30,at=5"

    percent: int = 30

    @property
    def link(self) -> Link:
        return Link(loss=self.percent / 100)


class Rate(LinkFault, frozen=True):
    """The rank sends at most `kbit` kilobits a second."""

    name: ClassVar[str] = "rate"
    example: ClassVar[str] = "rate:ps:1,kbit=64,at=5"

    kbit: int = 64

    @property
    def link(self) -> Link:
        return Link(kbit=self.kbit)
