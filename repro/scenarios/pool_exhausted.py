"""Operations that wait inside their kernels fill the inter-op pool, and what they wait for finds no thread."""

from __future__ import annotations

from repro.jobs.ps import ps_job, with_defaults
from repro.scenario import Arm, Settings


def culprit(arm: str, settings: Settings) -> str:
    return "worker:0" if settings["workers"] == 1 else ""


SCENARIO = ps_job(
    "pool-exhausted",
    summary="Blocking operations fill the inter-op thread pool",
    story=(
        "A step takes two rows from a staging area, which another thread of the program fills by steps of its own. "
        "Each take waits inside its kernel. When the rows come late, the takes hold all threads of the pool of two, "
        "and the step that would stage the rows never runs."
    ),
    stuck=(Arm("full", "as many blocking takes as the pool has threads"),),
    healthy=(Arm("spare", "the pool has a thread more"),),
    cause="tf-inter-op-pool-exhausted",
    why="every thread of the pool waits for rows that only the pool could stage",
    settings=with_defaults(workers=1),
    culprit=culprit,
)
