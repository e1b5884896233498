"""What a fault is, and what it needs of a cluster."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, ClassVar

import msgspec

from diagnostics.errors import LastbatchError
from repro.cluster import Cluster, Member

if TYPE_CHECKING:
    from repro.cluster.docker import DockerCluster

BOTH = ("local", "docker")


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fault, and its healer. `target` is a rank, or two with what is between them.

    `places` are the backends that it works on, `elsewhere` says why not on the others. A fault without a healer
    has `heals` false.
    """

    name: ClassVar[str]
    family: ClassVar[str]  # what a verdict should call it
    example: ClassVar[str]
    places: ClassVar[Sequence[str]] = BOTH
    elsewhere: ClassVar[str] = ""
    heals: ClassVar[bool] = True

    target: str

    @property
    def ranks(self) -> tuple[str, ...]:
        """Ranks that it acts on."""
        return (self.target,)

    def strike(self, cluster: Cluster) -> None:
        """Raises: LastbatchError: it could not be done."""
        raise NotImplementedError

    def heal(self, cluster: Cluster) -> None:
        """Undo it; also when it has been undone already, or its rank is gone."""


def docker_of(cluster: Cluster) -> DockerCluster | None:
    """The cluster, if its ranks are containers."""
    # Imported here: the engine's client takes longer than the rest of the command line.
    from repro.cluster.docker import DockerCluster

    return cluster if isinstance(cluster, DockerCluster) else None


def member_of(cluster: Cluster, rank: str) -> Member:
    return next(member for member in cluster.members if member.rank == rank)


@contextmanager
def unless_gone() -> Iterator[None]:
    """What a healer does may be done already, and its rank may be gone: the engine and the kernel then refuse."""
    from docker.errors import APIError

    with suppress(APIError, ProcessLookupError, LastbatchError):
        yield


def in_network(member: Member, *words: str) -> None:
    """Run a tool of this machine in the network of a rank.

    Raises:
        LastbatchError: it failed, with its own words.
    """
    done = subprocess.run(
        ["nsenter", f"--net=/proc/{member.pid}/ns/net", *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise LastbatchError(f"{' '.join(words)} failed in the network of {member.rank}: {done.stderr.strip()[:200]}")
