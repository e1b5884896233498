"""What a fault is, and which controls of a cluster it needs."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import msgspec

from repro.cluster import Cluster, Control, RankSpec


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fault, and its healer. `target` is a rank, or two with what is between them.

    `needs` is the control of the cluster that it asks for. A fault without a healer has `heals` false.
    """

    name: ClassVar[str]
    family: ClassVar[str]  # what a verdict should call it
    example: ClassVar[str]
    needs: ClassVar[Control]
    heals: ClassVar[bool] = True

    target: str

    @property
    def ranks(self) -> tuple[str, ...]:
        """Ranks that it acts on."""
        return (self.target,)

    def prepared(self, spec: RankSpec, directory: Path) -> RankSpec:
        """One of these ranks as it has to be started, so that the fault can strike; `directory` is the trial's."""
        return spec

    def strike(self, cluster: Cluster) -> None:
        """Raises: LastbatchError: it could not be done."""
        raise NotImplementedError

    def heal(self, cluster: Cluster) -> None:
        """Undo it; also when it has been undone already, or its rank is gone."""
