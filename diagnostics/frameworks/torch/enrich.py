"""Each rank's newest collectives and its process groups, as PyTorch itself recorded them, out of its memory."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from diagnostics.frameworks.torch import ring
from diagnostics.model import Collection, Collective, Frame, Process, ProcessGroup, group_label

_TIME = 1e9
"""Nanoseconds in a second."""


def look(collection: Collection) -> Collection:
    """The collection with what the rings of this host's processes hold. Those that have one from elsewhere keep it."""
    here = socket.gethostname()
    processes = tuple(
        _with_ring(process) if process.host == here and process.pid and not process.collectives else process
        for process in collection.processes
    )
    return msgspec.structs.replace(collection, processes=processes) if processes != collection.processes else collection


def _with_ring(process: Process) -> Process:
    found = ring.once(process.pid)
    if not found["torch"]:
        return process
    return msgspec.structs.replace(
        process,
        collectives=collectives_of(found["collectives"]),
        groups=groups_of(found["groups"]),
        framework_why_not=found["why_not"],
    )


def collectives_of(entries: Iterable[Mapping[str, Any]]) -> tuple[Collective, ...]:
    """The source's entries as values, oldest first."""
    return tuple(map(_collective, entries))


def _collective(entry: Mapping[str, Any]) -> Collective:
    inputs, outputs = entry["sizes"]
    return Collective(
        group=group_label(entry["group"], entry["description"]),
        seq=entry["p2p_number"] if entry["p2p"] else entry["number"],
        op=entry["name"].rpartition(":")[2],
        sizes=" ".join("x".join(map(str, shape)) or "scalar" for shape in (inputs or outputs)[:8]),
        # Gloo tells of no end: an entry is only taken off the list of those that are under way.
        state="completed" if entry["retired"] else entry["state"],
        frames=tuple(Frame(frame["name"], frame["file"], frame["line"]) for frame in entry["frames"]),
        p2p=entry["p2p"],
        called_at=entry["created"] / _TIME,
        timeout=entry["timeout"] / 1000 if entry["timeout"] else -1.0,
    )


def groups_of(groups: Iterable[Mapping[str, Any]]) -> tuple[ProcessGroup, ...]:
    return tuple(
        ProcessGroup(
            group=group_label(group["name"], group["description"]),
            name=group["name"],
            description=group["description"],
            ranks=tuple(group["ranks"]),
            size=group["size"],
            rank=group["rank"],
            enqueued=group["enqueued"],
            started=group["started"],
            completed=group["completed"],
        )
        for group in groups
    )
