"""Where the ranks of a trial run. Each kind of cluster is a context manager that yields a `Cluster`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import msgspec


class NodeOrder(msgspec.Struct, frozen=True):
    """One rank to start: the node program and what it is told (see `repro.nodes.node`)."""

    rank: str
    program: str  # module name below repro.nodes
    arm: str
    settings: dict[str, Any]


class Member(msgspec.Struct, frozen=True):
    """A rank that was started. `directory` holds its log, its recorder file and what it says."""

    rank: str
    pid: int
    directory: Path

    def said(self, word: str) -> bool:
        """Whether the node has said `ready` or `done`."""
        return (self.directory / word).exists()


class Cluster(Protocol):
    """A running cluster."""

    members: tuple[Member, ...]

    def exits(self) -> dict[str, int]:
        """Exit status of each rank that has ended so far; negative: the signal."""
        ...
