"""A look-alike: the garbage collector takes seconds over millions of objects, and nothing is stuck."""

from __future__ import annotations

from repro.jobs.single import single
from repro.scenario import Arm

SCENARIO = single(
    "gc-pause",
    summary="Look-alike: one step spends seconds in the garbage collector",
    story="In one step the collector walks through millions of objects, again and again. The CPU is busy.",
    lookalike=True,
    healthy=(Arm("full-collection", "full collections for six seconds in one step"),),
    why="it computes, and comes back",
)
