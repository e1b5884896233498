"""Where the ranks of a trial run. Each kind of cluster is a context manager that yields a `Cluster`."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import msgspec

from diagnostics.errors import LastbatchError
from diagnostics.model import Memory


class RankSpec(msgspec.Struct, frozen=True):
    """One rank to start: the node program and what it is told (see `repro.nodes.node`).

    `data` is where it keeps its input files, on a disk that can be stalled; None: in its own directory. An `absent`
    rank has an address, but is not started. `memory_needed` is in bytes, the framework included; 0: nobody has planned
    it.
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


class Control(str, Enum):
    """What can be done to a rank from outside."""

    SIGNAL = "signal"
    PAUSE = "pause"
    ABSENCE = "absence"
    DISK = "disk"
    CPU = "cpu"
    MEMORY = "memory"
    LINK = "link"
    CUT_OFF = "cut-off"


LACKS: Mapping[str, Mapping[Control, str]] = {
    "local": {
        Control.CPU: "processes share this machine's cores, none has a quota of its own",
        Control.MEMORY: "processes share this machine's memory, none has a limit of its own",
        Control.LINK: "processes of this machine share one loopback device",
        Control.CUT_OFF: "processes of this machine share one address",
    },
    "docker": {},
}
"""Backend -> the controls that its clusters lack, and why."""


class Link(msgspec.Struct, frozen=True):
    """What becomes of what a rank sends: it arrives `delay_ms` later, `loss` of it does not, at most `kbit` a second.

    `loss` is a share from 0 to 1.
    """

    delay_ms: int = 0
    loss: float = 0.0
    kbit: int = 0


class Cluster:
    """A running cluster, and what can be done to its ranks from outside.

    Doing it raises what the engine or the kernel says. Undoing it does no harm where it has been undone already, or
    where the rank is gone.
    """

    def __init__(self) -> None:
        self.members: tuple[Member, ...] = ()
        self.disks: dict[str, Disk] = {}
        """Of ranks whose data lies on one that can be stalled."""

    def member(self, rank: str) -> Member:
        return next(member for member in self.members if member.rank == rank)

    def exits(self) -> dict[str, int]:
        """Exit status of each rank that has ended so far, in the order of their ends; negative: the signal."""
        raise NotImplementedError

    def out_of_memory(self) -> dict[str, Memory]:
        """Ranks that the kernel killed at their memory limit, with what is known of it."""
        raise NotImplementedError

    def signal(self, rank: str, number: int) -> None:
        os.kill(self.member(rank).pid, number)

    def pause(self, rank: str) -> None:
        """It stands still with all its threads, while the kernel goes on acknowledging what it is sent."""
        self.signal(rank, signal.SIGSTOP)

    def resume(self, rank: str) -> None:
        with suppress(ProcessLookupError):
            self.signal(rank, signal.SIGCONT)

    def limit_cpu(self, rank: str, cores: float | None) -> None:
        """All its threads have so many cores together; None: as many as they like."""
        raise _lacking(Control.CPU)

    def exhaust_memory(self, rank: str, spare: int) -> None:
        """Limit it to `spare` bytes more than the plan says that it needs, or than it uses if that is more, and have
        something else take the rest: the kernel kills the rank."""
        raise _lacking(Control.MEMORY)

    def degrade_link(self, rank: str, how: Link) -> None:
        raise _lacking(Control.LINK)

    def restore_link(self, rank: str) -> None:
        raise _lacking(Control.LINK)

    def cut_off(self, sender: str, receiver: str) -> None:
        """Drop what the sender sends, where it arrives: the sender learns of it only by waiting, as from a switch that
        fails."""
        raise _lacking(Control.CUT_OFF)

    def reconnect(self, sender: str, receiver: str) -> None:
        raise _lacking(Control.CUT_OFF)


def _lacking(control: Control) -> LastbatchError:
    return LastbatchError(f"this cluster has no control of {control.value}")
