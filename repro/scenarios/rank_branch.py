"""A call that all ranks have to make stands under a condition that not all of them meet."""

from __future__ import annotations

from repro.jobs.torch import BY_SPAWN, BY_TORCHRUN, LAUNCH, Stuck, torch_jobs
from repro.scenario import Arm, the_other_worker

_APART = "rank 0 waits in a call that the others do not make; they wait in the next one"

SCENARIO = torch_jobs(
    "rank-branch",
    summary="A call that all ranks have to make stands under a condition that not all meet",
    story=(
        "At the end of an epoch all ranks save, sum up a metric, make a group or collect scores. In one epoch that "
        "stands under `if rank == 0`, or one rank turns aside before it."
    ),
    stuck=(
        Stuck(Arm("barrier", "a barrier under `if rank == 0`"), "collective-mismatch", _APART),
        Stuck(
            Arm("metric", "one more all_reduce on rank 0, of the same shape as a step's", BY_SPAWN),
            "collective-mismatch",
            _APART,
        ),
        Stuck(Arm("new-group", "rank 0 makes one more group", BY_TORCHRUN), "collective-mismatch", _APART),
        Stuck(
            Arm("object", "all come to gather_object but rank 1, which asks a server that does not answer", BY_SPAWN),
            "rank-elsewhere",
            "rank 1 waits for a server of its own",
            the_other_worker,
        ),
    ),
    healthy=Arm("by-all", "every rank makes every call"),
    more=(LAUNCH,),
)
