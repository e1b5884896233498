"""Ranks enter the collectives of two groups in different orders."""

from __future__ import annotations

from repro.jobs.torch import BY_SPAWN, BY_TORCHRUN, LAUNCH, Stuck, torch_jobs
from repro.scenario import Arm

_CROSSED = "ranks wait in one group for ranks that wait in another one for them"

SCENARIO = torch_jobs(
    "group-order",
    summary="Ranks enter the collectives of two process groups in different orders",
    story=(
        "A step sums up over two groups, one after the other: two that have all ranks, or the rows and columns of a "
        "grid. In one step some ranks begin with the other group. No group's own order is broken, so that nothing in "
        "one group alone is wrong."
    ),
    stuck=(
        Stuck(
            Arm("pair", "two groups of all ranks; every second rank takes the other one first"), "group-order", _CROSSED
        ),
        Stuck(Arm("pair-launched", "the same by torchrun", BY_TORCHRUN), "group-order", _CROSSED),
        Stuck(
            Arm("grid", "rows and columns of a grid; some ranks begin with their column", BY_SPAWN | {"workers": "4"}),
            "group-order",
            _CROSSED,
        ),
    ),
    healthy=Arm("ordered", "every rank takes them in the same order"),
    more=(LAUNCH,),
)
