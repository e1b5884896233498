"""Two stages of a pipeline do not agree on what they send to and receive from each other."""

from __future__ import annotations

from repro.jobs.torch import BY_SPAWN, BY_TORCHRUN, LAUNCH, Stuck, torch_jobs
from repro.scenario import Arm

_APART = "one waits for its partner, which waits in another call"

SCENARIO = torch_jobs(
    "pipeline-schedule",
    summary="Stages of a pipeline send what nobody receives, or receive what nobody sends",
    story=(
        "Each stage receives microbatches, sends its activations on, and sums up the loss with all others. In one step "
        "the stages do not agree on how many microbatches there are, or on who begins."
    ),
    stuck=(
        Stuck(Arm("send", "the last stage receives one microbatch less"), "collective-mismatch", _APART),
        Stuck(
            Arm("receive", "it receives one more", BY_TORCHRUN),
            "collective-mismatch",
            _APART,
        ),
        Stuck(
            Arm("both-receive", "both begin with a receive", BY_SPAWN),
            "collective-mismatch",
            "both wait for the other one's send",
        ),
    ),
    healthy=Arm("matched", "each send has its receive"),
    more=(LAUNCH,),
)
