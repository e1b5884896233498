"""A rank takes its process group apart, or leaves, and the others do not do so with it."""

from __future__ import annotations

from repro.jobs.torch import BY_SPAWN, LAUNCH, Stuck, torch_jobs
from repro.scenario import Arm, the_other_worker

SCENARIO = torch_jobs(
    "group-aborted",
    summary="A rank leaves or aborts its process group, and the others do not with it",
    story=(
        "Rank 1 leaves the program early, and its exit waits for a thread that is never told to end. Or it aborts its "
        "group after an error and forms it anew, while rank 0 reports the error and waits to be ended."
    ),
    stuck=(
        Stuck(
            Arm("exit", "rank 1 is on its way out, and waits there for a thread"),
            "teardown",
            "the exit waits for a thread that nobody ends",
            the_other_worker,
        ),
        Stuck(
            Arm("rejoin", "rank 1 forms its group anew; rank 0 does not", BY_SPAWN),
            "rank-elsewhere",
            "the new group waits for rank 0, which does not come to it",
            lambda arm, settings: "worker:0" if settings["workers"] == 2 else "",
        ),
    ),
    healthy=Arm("together", "all ranks leave together"),
    more=(LAUNCH,),
)
