"""Waits as edges between nodes of the wait graph, of a thread at its position. Pure."""

from __future__ import annotations

from diagnostics.analyze.wait_graph import node_of
from diagnostics.model import Position, Process, Wait, WaitKind
from diagnostics.stacks.position import main_position


def node_at(process: Process, tid: int) -> str:
    """The rank for the thread where it stands."""
    main = main_position(process) if tid else None
    return node_of(process.rank, 0 if tid == (main.tid if main else process.pid) else tid)


def wait_of(process: Process, position: Position, on: str, why: str, kind: WaitKind, seconds: float = -1.0) -> Wait:
    return Wait(node_at(process, position.tid), on, why, seconds, kind)
