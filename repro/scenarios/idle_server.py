"""A look-alike: a server that nobody asks does nothing, for as long as that lasts."""

from __future__ import annotations

import msgspec

from repro.jobs.single import single
from repro.scenario import Arm, Settings


def ranks(settings: Settings) -> tuple[str, ...]:
    return ("worker:0", "ps:0")


_SINGLE = single(
    "idle-server",
    summary="Look-alike: a parameter server that nobody asks",
    story="A server waits for connections while the worker computes for itself. It stands still, as it should.",
    lookalike=True,
    healthy=(Arm("unasked", "a server with a pool of threads that wait for work"),),
    why="a server serves when it is asked",
)
SCENARIO = msgspec.structs.replace(_SINGLE, ranks=ranks)
