"""One rank calls another collective than the rest, because of a condition that only it meets."""

from __future__ import annotations

from repro.jobs.torch import torch_job
from repro.scenario import Arm

SCENARIO = torch_job(
    "collective-mismatch",
    summary="One rank calls another collective than the rest",
    story=(
        "At the end of an epoch every rank sums up the metrics with all_reduce. Rank 0 finds its best score so far, "
        "and tells the others with a broadcast, which they do not expect."
    ),
    stuck=Arm("one-sided", "a broadcast on rank 0 alone, while the rest call all_reduce"),
    healthy=Arm("agreed", "every rank calls both, in one order"),
    cause="collective-mismatch",
    why="the ranks wait for each other in different operations",
)
