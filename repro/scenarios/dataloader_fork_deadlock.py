"""A DataLoader forks its workers while a thread of the trainer holds a lock that the dataset needs."""

from __future__ import annotations

import msgspec

from repro.jobs.torch import torch_job
from repro.scenario import Arm, Settings


def ranks(settings: Settings) -> tuple[str, ...]:
    return ("worker:0",)


SCENARIO = msgspec.structs.replace(
    torch_job(
        "dataloader-fork-deadlock",
        summary="DataLoader workers are forked while a thread holds a lock",
        story=(
            "A new DataLoader is made for every epoch, so its workers are forked in the middle of training. A thread "
            "of the trainer is just writing to the cache that the dataset reads."
        ),
        stuck=Arm("fork", "workers start by fork, the default on Linux before Python 3.14"),
        healthy=Arm("spawn", "workers start anew: multiprocessing_context='spawn'"),
        cause="fork-with-threads",
        why="the worker has the lock, held, and not the thread that held it",
    ),
    ranks=ranks,
)
