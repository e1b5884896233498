"""One rank's step raises before its collective, and a handler hides that from the others."""

from __future__ import annotations

from repro.jobs.torch import BY_SPAWN, LAUNCH, Stuck, torch_jobs
from repro.scenario import Arm, the_other_worker

SCENARIO = torch_jobs(
    "swallowed-exception",
    summary="One rank's step raises, and a handler hides that from the others",
    story=(
        "A row without a label raises on rank 1, before the gradients are summed up. The handler skips the batch, so "
        "that this rank is a collective behind; or it ends the training of this rank alone."
    ),
    stuck=(
        Stuck(
            Arm("skips", "rank 1 skips the batch, and comes to the collective after it"),
            "collective-mismatch",
            "the ranks wait for each other in different operations",
        ),
        Stuck(
            Arm("ends", "rank 1 has left its loop, and serves what it has", BY_SPAWN),
            "uneven-inputs",
            "rank 1 trains no more",
            the_other_worker,
        ),
    ),
    healthy=Arm("agreed", "all ranks skip what one of them cannot load"),
    more=(LAUNCH,),
)
