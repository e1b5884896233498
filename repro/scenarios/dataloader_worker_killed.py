"""A worker of a DataLoader is killed, and the trainer waits for its batch."""

from __future__ import annotations

import msgspec

from repro.jobs.torch import torch_job
from repro.scenario import Arm, Settings


def ranks(settings: Settings) -> tuple[str, ...]:
    return ("worker:0",)


SCENARIO = msgspec.structs.replace(
    torch_job(
        "dataloader-worker-killed",
        summary="A DataLoader's worker is killed, and nobody tells the trainer",
        story=(
            "Memory runs out, and the kernel ends one of the DataLoader's workers. PyTorch would notice by SIGCHLD or "
            "by the worker's zombie, but the program ignores SIGCHLD, so there is neither."
        ),
        stuck=Arm("unnoticed", "SIGCHLD is ignored: the trainer waits for the lost worker's batch"),
        healthy=Arm("noticed", "the DataLoader raises an error, and the trainer begins the epoch anew"),
        cause="dataloader-worker-killed",
        why="the worker that was to bring the batch is gone",
    ),
    ranks=ranks,
)
