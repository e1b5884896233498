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
    """A rank that was started. `directory` holds its log, its recorder file and what it says.

    `pid` is this machine's number for it, also where it runs in a container; `address` is where it serves.
    """

    rank: str
    pid: int
    directory: Path
    address: str

    def said(self, word: str) -> bool:
        """Whether the node has said `ready` or `done`."""
        return (self.directory / word).exists()


class Cluster(Protocol):
    """A running cluster."""

    backend: str
    members: tuple[Member, ...]

    def exits(self) -> dict[str, int]:
        """Exit status of each rank that has ended so far, in the order of their ends; negative: the signal."""
        ...

    def out_of_memory(self) -> tuple[str, ...]:
        """Ranks that the kernel killed at their memory limit."""
        ...
