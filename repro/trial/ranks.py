"""What the ranks of a running trial say and leave in their directories."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from diagnostics import bundle
from diagnostics.collector import procfs
from diagnostics.discover.scan import descendants_of
from diagnostics.errors import LastbatchError
from diagnostics.model.rank import child
from diagnostics.transport import Fleet, Here, OnHost, Target, There, flight
from repro.cluster import Cluster, Member

READY_LIMIT = 180.0
"""Seconds within which every rank has to say that it is ready; importing TensorFlow takes 2 to 20."""
ATTACHED = 1 << 20
"""Bytes of the end of each log that go into the bundle."""


def wait_until_ready(cluster: Cluster) -> None:
    """Until every rank has said so.

    Raises:
        LastbatchError: one ended instead, or took too long; with the end of its log.
    """
    deadline = time.monotonic() + READY_LIMIT
    while missing := [member for member in cluster.members if not member.said("ready")]:
        if ended := cluster.exits():  # also of one that was ready: the others may wait for it
            member = next(member for member in cluster.members if member.rank in ended)
            raise _not_up(member, f"ended with status {ended[member.rank]} before every rank was ready")
        if time.monotonic() > deadline:
            raise _not_up(missing[0], f"was not ready within {READY_LIMIT:.0f} s")
        time.sleep(0.05)


def _not_up(member: Member, why: str) -> LastbatchError:
    log = member.directory / "log"
    last = [line for line in procfs.tail(log) if line.strip()][-1:]
    return LastbatchError(f"{member.rank} {why}: {last[0] if last else 'it said nothing'}", f"See {log}")


def recorder_of(member: Member) -> Path:
    return member.directory / "flight.lbrec"


def targets_of(cluster: Cluster) -> list[Target]:
    """The ranks, and whatever they started: data loaders and other children can be what a rank waits for."""
    ranks = {member.pid: member.rank for member in cluster.members}
    return [
        Target(member.pid, member.rank, recorder_of(member), member.directory / "log", member.address)
        for member in cluster.members
    ] + [Target(pid, str(child(ranks[above], pid))) for pid, above in descendants_of(ranks).items()]


def reach_of(cluster: Cluster, expected: Sequence[str], via: str) -> Here | There:
    """The way to the ranks: of this machine, also where it is taken through a command."""
    targets = tuple(targets_of(cluster))
    if not via:
        return Here(targets, tuple(expected))
    host = "here"
    return There(Fleet((host,), via), (OnHost(host, os.uname().machine, targets, tuple(expected)),))


def epoch_ends_of(members: tuple[Member, ...]) -> int:
    flights = [flight.load(recorder_of(member), tail=1) for member in members]
    return sum(recording.epoch_ends for recording in flights if recording)


def counts_of(members: tuple[Member, ...]) -> dict[str, dict[str, int]]:
    """What ranks have told of what they counted."""
    found = {}
    for member in members:
        path = member.directory / "counts"
        if path.exists():
            found[member.rank] = msgspec.json.decode(path.read_bytes(), type=dict[str, int])
    return found


def attachments_of(members: tuple[Member, ...]) -> dict[str, bundle.Attachment]:
    """The recorders and logs as they are."""
    found = {}
    readers: tuple[tuple[str, Callable[[Member], Path], bundle.Kind], ...] = (
        ("flight.lbrec", recorder_of, bundle.Kind.RECORDER),
        ("log", lambda member: member.directory / "log", bundle.Kind.TEXT),
    )
    for member in members:
        for name, path_of, kind in readers:
            data = procfs.tail_bytes(path_of(member), ATTACHED)
            if not data:
                continue
            found[bundle.member_name("ranks", member.rank, name)] = bundle.Attachment(data, kind)
    return found
