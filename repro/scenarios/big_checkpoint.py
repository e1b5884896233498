"""A look-alike: a checkpoint takes seconds to write, and nothing is stuck."""

from __future__ import annotations

import msgspec

from repro.jobs.single import single
from repro.scenario import Arm

SCENARIO = msgspec.structs.replace(
    single(
        "big-checkpoint",
        summary="Look-alike: writing a checkpoint takes hundreds of times as long as a step",
        story="In one step a large model is saved and forced to the disk. The CPU has little to do meanwhile.",
        lookalike=True,
        healthy=(Arm("saving", "torch.save and fsync for six seconds, inside a step"),),
        why="it writes, and comes back",
    ),
    runtimes=("torch",),
    default_runtime="torch",
)
