"""Closing waits for peers that have left."""

from __future__ import annotations

import msgspec

from repro.jobs.ps import ps_job
from repro.scenario import Arm, Expected, Settings, rank

_JOB = ps_job(
    "session-close",
    summary="Closing a session waits for a worker that has left",
    story=(
        "Worker 1 has done its epochs, closes its session and ends. When worker 0 closes its own, or resets the "
        "cluster, its master tells every rank that the session saw, and waits until each has answered. Worker 1 does "
        "not."
    ),
    stuck=(
        Arm("close", "worker 0 closes its session when worker 1 has ended"),
        Arm("reset", "worker 0 resets its target, the whole cluster, when worker 1 has ended"),
    ),
    healthy=(
        Arm("there", "worker 1 stays until worker 0 has closed"),
        Arm("filtered", "device filters: the session of worker 0 never knew of worker 1"),
    ),
    cause="tf-session-close",
    why="a rank that has left does not answer",
    culprit=rank("worker:1"),
)


def expected(arm: str, release: tuple[int, ...], settings: Settings) -> Expected:
    if arm == "close" and release >= (2,):
        return Expected(hang=False, why="in TensorFlow 2 closing does not wait for a rank that has left")
    return _JOB.expected(arm, release, settings)


SCENARIO = msgspec.structs.replace(_JOB, expected=expected)
