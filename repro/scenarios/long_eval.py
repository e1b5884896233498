"""A look-alike: one rank evaluates while the others wait for it at a barrier, and nothing is stuck."""

from __future__ import annotations

from repro.jobs.torch import torch_job
from repro.scenario import Arm

SCENARIO = torch_job(
    "long-eval",
    summary="Look-alike: rank 0 evaluates for seconds while the others wait",
    story=(
        "After an epoch rank 0 evaluates the model, hundreds of times as long as a step. The other ranks stand at "
        "a barrier until it is done, just as they do when it hangs."
    ),
    healthy=Arm("one-evaluates", "rank 0 evaluates for six seconds, the others wait at a barrier"),
    why="the evaluation ends, and all go on",
    lookalike=True,
)
