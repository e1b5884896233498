"""A child process fills the pipe that its parent does not read, and the parent waits for the child to end."""

from __future__ import annotations

from repro.jobs.single import single
from repro.scenario import Arm

SCENARIO = single(
    "subprocess-pipe-full",
    summary="A child fills a pipe that nobody reads while its parent waits for it",
    story=(
        "The trainer runs a tool at the end of an epoch with its output in a pipe, and waits for it before it reads. "
        "As long as the tool says less than the pipe holds (64 KiB) all is well."
    ),
    stuck=(Arm("wait", "Popen(stdout=PIPE).wait(), then read"),),
    healthy=(Arm("communicate", "Popen(stdout=PIPE).communicate()"),),
    cause="subprocess-pipe-full",
    why="the child cannot end before somebody reads, and the parent reads only when it has ended",
)
