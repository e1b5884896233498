"""MultiWorkerMirroredStrategy over datasets of one's own: one worker has a batch more than the others."""

from __future__ import annotations

import msgspec

from repro.jobs.torch import torch_job
from repro.scenario import Arm, the_other_worker

SCENARIO = msgspec.structs.replace(
    torch_job(
        "mwms-uneven",
        summary="MultiWorkerMirroredStrategy, and one worker's own dataset is longer",
        story=(
            "Each worker iterates a dataset of its own and sums up over all workers in every step. Worker 0 has one "
            "batch more: its last all-reduce waits for workers that have finished."
        ),
        stuck=Arm("uneven", "worker 0 trains a batch more"),
        healthy=Arm("even", "every worker trains the same number of batches"),
        cause="uneven-inputs",
        why="the other workers have no batch left, and do not come to that all-reduce",
        culprit=the_other_worker,
    ),
    runtimes=("tf2",),
    default_runtime="tf2",
)
