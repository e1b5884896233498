"""A barrier of tokens before the model is saved, and one token is missing."""

from __future__ import annotations

from repro.jobs.ps import ps_job
from repro.scenario import Arm, Settings, the_other_worker


def culprit(arm: str, settings: Settings) -> str:
    return "worker:0" if arm == "miscounted" else the_other_worker(arm, settings)


SCENARIO = ps_job(
    "barrier-short",
    summary="A token-queue barrier before saving waits for a token that nobody puts",
    story=(
        "At the end of each epoch every worker puts a token into a queue on the server. The chief takes one for each "
        "worker, saves the model and lets all go on. It counts one worker too many, or a worker left on an error."
    ),
    stuck=(
        Arm("miscounted", "the chief waits for one token more than there are workers"),
        Arm("left", "a worker loses its data, says so in its log, and leaves without its token"),
    ),
    healthy=(Arm("counted", "as many tokens as there are workers, and all of them come"),),
    cause="tf-barrier-short",
    why="a token is missing, and nobody is left who would put it",
    culprit=culprit,
    program="epoch_barrier",
)
