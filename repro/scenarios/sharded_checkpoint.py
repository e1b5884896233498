"""Each rank writes its part of a checkpoint (torch.distributed.checkpoint); of one, the storage does not come back."""

from __future__ import annotations

from repro.jobs.torch import BY_SPAWN, LAUNCH, Stuck, torch_jobs
from repro.scenario import Arm, the_other_worker

SCENARIO = torch_jobs(
    "sharded-checkpoint",
    summary="A distributed checkpoint, and one rank's storage does not come back",
    story=(
        "At the end of an epoch every rank writes its part of the checkpoint, and the first one waits for all parts. "
        "Rank 1 finds a lock file that was left there, or opens what is a pipe that nobody reads."
    ),
    stuck=(
        Stuck(
            Arm("lock-file", "rank 1 waits until a lock file is gone"),
            "stale-lock-file",
            "nobody is there who would remove the file",
            the_other_worker,
        ),
        Stuck(
            Arm("pipe", "rank 1's part is a pipe without a reader", BY_SPAWN),
            "rank-elsewhere",
            "rank 1 waits to open a file",
            the_other_worker,
        ),
    ),
    healthy=Arm("written", "every part is written"),
    more=(LAUNCH,),
)
