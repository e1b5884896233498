"""A look-alike: the end of an epoch waits for tf.data's autotuner, which sleeps on, and nothing is stuck."""

from __future__ import annotations

import msgspec

from repro.jobs.single import single
from repro.scenario import Arm

SCENARIO = msgspec.structs.replace(
    single(
        "autotune-pause",
        summary="Look-alike: the end of an epoch waits for tf.data's autotuner",
        story=(
            "An epoch of ten seconds is over, and its iterator ends. Its autotuner was woken for that before the "
            "iterator counted as cancelled, looked too early, and sleeps on for as long as the epoch was. Nothing "
            "moves until then."
        ),
        lookalike=True,
        healthy=(
            Arm("autotuner", "the pipeline is tuned, as by default: ten seconds of silence"),
            Arm("switched-off", "options.autotune.enabled = False: no silence"),
        ),
        why="the autotuner wakes, and it goes on",
    ),
    runtimes=("tf2",),
    default_runtime="tf2",
)
