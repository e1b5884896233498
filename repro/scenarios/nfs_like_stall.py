"""A file is read from a file system whose server does not answer any more."""

from __future__ import annotations

import msgspec

from repro.jobs.single import single
from repro.scenario import Arm, Need

SCENARIO = msgspec.structs.replace(
    single(
        "nfs-like-stall",
        summary="The input's file system stops answering",
        story=(
            "The trainer reads its rows from a file system that another machine serves, here a process over /dev/fuse. "
            "In one epoch the server stops answering, so a read does not come back."
        ),
        stuck=(Arm("silent", "in epoch hang_at the server stops answering"),),
        healthy=(Arm("answering", "every read is answered"),),
        cause="filesystem-stall",
        why="the read waits for an answer of the server",
    ),
    runtimes=("py3.8", "py3.11", "py3.12", "py3.13"),
    needs=(Need("/dev/fuse", "modprobe fuse"),),
)
