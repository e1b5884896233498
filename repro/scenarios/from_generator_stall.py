"""A Dataset over a Python generator that waits for a row which never comes."""

from __future__ import annotations

import msgspec

from repro.jobs.single import single
from repro.scenario import Arm

SCENARIO = msgspec.structs.replace(
    single(
        "from-generator-stall",
        summary="Dataset.from_generator, and the generator waits for a row that never comes",
        story=(
            "A Dataset takes its rows from a Python generator. A thread reads ahead for the generator, comes to a row "
            "that it cannot read, and ends with an exception that nobody sees. The generator waits for its queue."
        ),
        stuck=(
            Arm("producer-ended", "the thread that fills the generator's queue has ended"),
            Arm("silent-source", "the generator asks another process, which does not answer any more"),
        ),
        healthy=(Arm("fed", "every row comes"),),
        cause="input-stall",
        why="nobody is left who would give the generator its next row",
    ),
    runtimes=("tf2",),
    default_runtime="tf2",
)
