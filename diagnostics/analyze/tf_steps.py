"""Who takes part in a step of graph-mode TensorFlow, read off stacks. Pure."""

from __future__ import annotations

from diagnostics.analyze.facts import stack_has
from diagnostics.model import Process

REMOTE_STEP = ("LocalMaster::RunStep", "GrpcRemoteMaster::RunStep")


def in_remote_step(process: Process) -> tuple[int, ...]:
    """The threads that wait for a step of a session on a server."""
    return tuple(thread.tid for thread in process.threads if any(stack_has(thread, [name]) for name in REMOTE_STEP))
