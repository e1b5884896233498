"""Each rank's newest collectives and its process groups, as PyTorch itself recorded them, out of its memory."""

import time
from typing import Any, Dict, Iterable, List, NamedTuple, Tuple

from diagnostics.collector import procfs
from diagnostics.collector.kernel import text_of
from diagnostics.collector.look import Fields, Look, plain
from diagnostics.collector.memory import torch_ring

DEADLINE = 20.0
FORKED = "it was forked: what its memory tells of collectives is its parent's"
NO_TIME = "its memory was not read: those of the other processes took too long"

_SECOND = 1e9
_CLOCKS = 0.05
"""Seconds by which the start of a process may be told too early."""
_NO_DESCRIPTION = ("", "undefined")
Entry = Dict[str, Any]


class Frame(NamedTuple):
    """As `diagnostics.model.Frame`."""

    function: str
    file: str
    line: int


class Collective(NamedTuple):
    """As `diagnostics.model.Collective`."""

    group: str
    seq: int
    op: str
    sizes: str
    state: str
    frames: Tuple[Frame, ...]
    p2p: bool
    called_at: float
    timeout: float


class ProcessGroup(NamedTuple):
    """As `diagnostics.model.ProcessGroup`."""

    group: str
    name: str
    description: str
    ranks: Tuple[int, ...]
    size: int
    rank: int
    enqueued: int
    started: int
    completed: int


def once(look: Look) -> Fields:
    until = time.monotonic() + 0.9 * DEADLINE
    return {pid: fields_of(pid, until - time.monotonic()) for pid in look.pids}


def fields_of(pid: int, seconds: float) -> Dict[str, Any]:
    """Of a process that runs PyTorch; {} of another. `seconds` are left."""
    if seconds <= 0:
        return {"framework_why_not": NO_TIME}
    maps = text_of("/proc/%d/maps" % pid, 64 << 20)
    if not any(name in maps for name in torch_ring.LIBRARIES):
        return {}
    found = torch_ring.once(pid, min(seconds, torch_ring.DEADLINE))
    if not found["torch"]:
        return {}
    called = own(list(map(_collective, found["collectives"])), time.time() - procfs.age_of(pid))
    if found["collectives"] and not called:
        return {"framework_why_not": FORKED}
    return {
        "collectives": plain(called),
        "groups": plain(list(map(_group, found["groups"]))),
        "framework_why_not": found["why_not"],
    }


def own(called: Iterable[Collective], started: float) -> List[Collective]:
    """Without those from before the process started (wall time): a fork has a copy of its parent's ring."""
    return [one for one in called if one.called_at > started + _CLOCKS]


def _collective(entry: Entry) -> Collective:
    inputs, outputs = entry["sizes"]
    return Collective(
        group=label(entry["group"], entry["description"]),
        seq=entry["p2p_number"] if entry["p2p"] else entry["number"],
        op=entry["name"].rpartition(":")[2],
        sizes=" ".join("x".join(map(str, shape)) or "scalar" for shape in (inputs or outputs)[:8]),
        # Gloo tells of no end: an entry is only taken off the list of those that are under way.
        state="completed" if entry["retired"] else entry["state"],
        frames=tuple(Frame(frame["name"], frame["file"], frame["line"]) for frame in entry["frames"]),
        p2p=entry["p2p"],
        called_at=entry["created"] / _SECOND,
        timeout=entry["timeout"] / 1000 if entry["timeout"] else -1.0,
    )


def _group(group: Entry) -> ProcessGroup:
    return ProcessGroup(
        group=label(group["name"], group["description"]),
        name=group["name"],
        description=group["description"],
        ranks=tuple(group["ranks"]),
        size=group["size"],
        rank=group["rank"],
        enqueued=group["enqueued"],
        started=group["started"],
        completed=group["completed"],
    )


def label(name: str, description: str) -> str:
    """What people call a process group: its description, with its name, as descriptions may be the same."""
    if description in _NO_DESCRIPTION:
        return name
    return description if description == "default_pg" else "%s (%s)" % (description, name) if name else description
