"""Where the ranks of a trial run. Each kind of cluster is a context manager that yields a `Cluster`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import msgspec

from diagnostics.model import Memory


class RankSpec(msgspec.Struct, frozen=True):
    """One rank to start: the node program and what it is told (see `repro.nodes.node`).

    `data` is where it keeps its input files, its own directory unless given. An `absent` rank has an address, but is
    not started. `memory_needed` is in bytes, the framework included; 0: nobody has planned it.
    """

    rank: str
    program: str  # module name below repro.nodes
    arm: str
    settings: dict[str, Any]
    data: Path | None = None
    absent: bool = False
    memory_needed: int = 0


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


class Disk(Protocol):
    """A file system that can stop answering."""

    def stall(self) -> None: ...

    def answer(self) -> None: ...


class Cluster(Protocol):
    """A running cluster."""

    members: tuple[Member, ...]
    disks: dict[str, Disk]  # of ranks whose data lies on one that can be stalled

    def exits(self) -> dict[str, int]:
        """Exit status of each rank that has ended so far, in the order of their ends; negative: the signal."""
        ...

    def out_of_memory(self) -> dict[str, Memory]:
        """Ranks that the kernel killed at their memory limit, with what is known of it."""
        ...
