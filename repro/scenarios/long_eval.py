"""A look-alike: one rank evaluates while the others wait for it at a barrier, and nothing is stuck."""

from __future__ import annotations

import msgspec

from repro.jobs.torch import torch_job
from repro.scenario import Arm, Expected, Settings

_ARM = Arm("one-evaluates", "rank 0 evaluates for six seconds, the others wait at a barrier")


def expected(arm: str, release: tuple[int, ...], settings: Settings) -> Expected:
    return Expected(hang=False, why="the evaluation ends, and all go on")


SCENARIO = msgspec.structs.replace(
    torch_job(
        "long-eval",
        summary="Look-alike: rank 0 evaluates for seconds while the others wait",
        story=(
            "After an epoch rank 0 evaluates the model, hundreds of times as long as a step. The other ranks stand at "
            "a barrier until it is done, just as they do when it hangs."
        ),
        stuck=_ARM,
        healthy=_ARM,
        cause="",
        why="",
    ),
    arms=(_ARM,),
    default_arms=(_ARM.name,),
    expected=expected,
)
