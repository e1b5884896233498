"""A queue-runner pipeline whose runners were never started: the first step waits for data for ever."""

from __future__ import annotations

import msgspec

from repro.jobs.single import single
from repro.scenario import Arm

SCENARIO = msgspec.structs.replace(
    single(
        "queue-runners-off",
        summary="A queue-runner pipeline whose runners were never started",
        story=(
            "A graph reads through string_input_producer and train.batch. The program runs a step without "
            "start_queue_runners, as happens when a session is made anew, or when a graph is served elsewhere."
        ),
        stuck=(Arm("off", "in epoch hang_at a new session, without start_queue_runners"),),
        healthy=(Arm("on", "every session starts its queue runners"),),
        cause="tf-queue-not-started",
        why="nobody fills the queue",
    ),
    runtimes=("tf1.4", "tf1.8", "tf1.12", "tf1.13", "tf1.15", "tf2"),
    default_runtime="tf1.12",
)
