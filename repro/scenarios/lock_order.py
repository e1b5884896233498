"""Two threads take two locks in opposite order, and meet."""

from __future__ import annotations

from repro.jobs.single import single
from repro.scenario import Arm

SCENARIO = single(
    "lock-order",
    summary="Two threads take two locks in opposite order",
    story=(
        "At the end of an epoch the trainer takes the metrics, then the checkpoint's lock, to save its numbers. A "
        "saver thread takes the checkpoint's lock, then the metrics', to write them. Mostly they miss each other."
    ),
    stuck=(Arm("opposite", "each thread takes its own lock first"),),
    healthy=(Arm("ordered", "both take the locks in the same order"),),
    cause="lock-order",
    why="both threads hold what the other waits for",
)
