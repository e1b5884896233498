"""DistributedDataParallel over data of uneven length: one rank has a batch more than the others."""

from __future__ import annotations

from repro.jobs.torch import torch_job
from repro.scenario import Arm, Setting, the_other_worker

SCENARIO = torch_job(
    "ddp-uneven",
    summary="DistributedDataParallel, and one rank has a batch more than the others",
    story=(
        "Every backward pass sums the gradients over all ranks. Rank 0 was given one batch more: in its last backward "
        "pass it waits for ranks that have finished."
    ),
    stuck=Arm("uneven", "rank 0 trains a batch more"),
    healthy=Arm("join", "the same data within DistributedDataParallel.join()"),
    cause="uneven-inputs",
    why="the other ranks have no batch left, and do not come to that all-reduce",
    culprit=the_other_worker,
    more=(
        Setting(
            "model",
            "linear",
            "what is trained; it may add settings of its own",
            choices=("linear", "transformer", "sampled-softmax"),
        ),
        Setting("rows", 2, "rows in a batch", 1, 100_000),
    ),
)
