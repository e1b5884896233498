"""A look-alike: reads take long now and then, and nothing is stuck."""

from __future__ import annotations

from repro.jobs.single import single
from repro.scenario import Arm

SCENARIO = single(
    "slow-input",
    summary="Look-alike: some reads take hundreds of times as long as a step",
    story="A step in ten waits 1.5 s for its data, asleep in a read. A tool that asks for silence alone calls it hung.",
    lookalike=True,
    healthy=(Arm("slow-reads", "a pipe whose writer is slow once in ten steps"),),
    why="its input comes, late",
)
