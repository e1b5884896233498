"""ParameterServerStrategy, and the only worker is lost: its coordinator waits for it to come back."""

from __future__ import annotations

import msgspec

from repro.jobs.single import single
from repro.scenario import Arm, Expected, Settings


def ranks(settings: Settings) -> tuple[str, ...]:
    return ("chief:0", "worker:0", "ps:0")


_SINGLE = single(
    "ps-strategy",
    summary="ParameterServerStrategy loses its worker, and the coordinator waits for it to come back",
    story=(
        "A coordinator schedules each step on a worker. The worker is killed and not started again. The strategy "
        "tolerates that: it keeps the step, and waits for a worker that takes it, without a limit."
    ),
    stuck=(Arm("worker-lost", "in epoch hang_at the worker is killed, and nobody starts it again"),),
    healthy=(Arm("worker-stays", "the worker is there to the end"),),
    cause="tf-coordinator-worker-lost",
    why="no worker is left to take the step",
)


def expected(arm: str, release: tuple[int, ...], settings: Settings) -> Expected:
    """A run ends with its first rank; that a hang would follow is for whoever attaches to the others."""
    known = _SINGLE.expected(arm, release, settings)
    return msgspec.structs.replace(known, family="peer-dead") if known.hang else known


SCENARIO = msgspec.structs.replace(_SINGLE, runtimes=("tf2",), default_runtime="tf2", ranks=ranks, expected=expected)
