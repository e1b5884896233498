"""The job is done, and one rank waits at its last barrier for ranks that have gone another way."""

from __future__ import annotations

from repro.jobs.torch import torch_job
from repro.scenario import Arm, the_other_worker

SCENARIO = torch_job(
    "teardown",
    summary="One rank waits at the last barrier, and the others have left without it",
    story=(
        "After training rank 0 saves the model, then comes to a barrier and destroys the process group. The other "
        "ranks have nothing to save: an early return takes them past the barrier, and on to other work."
    ),
    stuck=Arm("early-return", "only rank 0 comes to the last barrier"),
    healthy=Arm("together", "every rank comes to it"),
    cause="teardown",
    why="the other ranks do not come to the last barrier",
    culprit=the_other_worker,
)
