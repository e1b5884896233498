"""Synchronous replicas, and one worker has no data left: the tokens never come."""

from __future__ import annotations

from repro.jobs.ps import ps_job
from repro.scenario import Arm, the_other_worker

SCENARIO = ps_job(
    "sync-starved",
    summary="SyncReplicasOptimizer, and one worker runs out of data before the other",
    story=(
        "A step is done when the chief's queue runner has a gradient of every worker and has put a token for each into "
        "the queue on the server. The chief was given one batch more than the others: it gives its gradient and waits "
        "for a token that would need theirs."
    ),
    stuck=(Arm("uneven", "the chief has a batch more in the last epoch"),),
    healthy=(Arm("even", "every worker has as many batches"),),
    cause="tf-sync-tokens",
    why="the other worker has no batch left, so its gradient and with it the token never comes",
    culprit=the_other_worker,
)
