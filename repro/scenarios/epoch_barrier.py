"""The barrier that makes every worker train the same epochs, and the chief save last."""

from __future__ import annotations

from repro.jobs.ps import ps_job
from repro.scenario import Arm

SCENARIO = ps_job(
    "epoch-barrier",
    summary="Healthy: workers meet at the end of each epoch, and the chief saves when all have come",
    story=(
        "Two queues on the server make a barrier: one that workers put tokens into as they arrive, one that the chief "
        "fills when it has saved. Every worker trains the same epochs, and what is saved holds all of them. What "
        "becomes of it when a token is missing is barrier-short."
    ),
    healthy=(Arm("barrier", "every worker waits for all others, and for the chief's save"),),
    why="a token comes for every one that is waited for",
)
