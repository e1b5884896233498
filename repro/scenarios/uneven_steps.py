"""One rank has a batch more than the others: with sharded weights, or with a collective that `join` does not know."""

from __future__ import annotations

from repro.jobs.torch import BY_TORCHRUN, LAUNCH, Stuck, torch_jobs
from repro.scenario import Arm, the_other_worker

_WHY = "the other ranks have no batch left, and do not come to that collective"

SCENARIO = torch_jobs(
    "uneven-steps",
    summary="One rank has a batch more: under FSDP, or with a collective that join() does not know",
    story=(
        "FSDP gathers the weights in each forward pass, so that a rank with a batch more waits there. DDP's join() "
        "stands in for ranks that have finished, but only in the collectives of DDP itself."
    ),
    stuck=(
        Stuck(Arm("sharded", "rank 0 trains a batch more under FSDP"), "uneven-inputs", _WHY, the_other_worker),
        Stuck(
            Arm(
                "join",
                "the same under DDP and join(), with a collective in the model's forward",
                BY_TORCHRUN,
            ),
            "collective-mismatch",
            "the model's collective meets one of those by which join() stands in",
        ),
    ),
    healthy=Arm("agreed", "every rank trains as many batches"),
    more=(LAUNCH,),
)
