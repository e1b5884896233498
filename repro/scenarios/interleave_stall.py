"""A Dataset that interleaves files, one of which stops answering."""

from __future__ import annotations

import msgspec

from repro.jobs.single import single
from repro.scenario import Arm

SCENARIO = msgspec.structs.replace(
    single(
        "interleave-stall",
        summary="Dataset.interleave over files, one of which does not open",
        story=(
            "A Dataset reads several TFRecord files in turn. One of them lies where nobody answers, so open() does "
            "not come back. The rows of the other files are there, and wait for their turn."
        ),
        stuck=(Arm("silent-file", "in epoch hang_at the last file is one that does not open"),),
        healthy=(Arm("all-open", "every file opens"),),
        cause="input-stall",
        why="a thread of the Dataset waits in open()",
    ),
    runtimes=("tf2",),
    default_runtime="tf2",
)
