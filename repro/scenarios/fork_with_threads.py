"""A process with threads forks, and the child waits for a lock that a thread held which it does not have."""

from __future__ import annotations

from repro.jobs.single import single
from repro.scenario import Arm

SCENARIO = single(
    "fork-with-threads",
    summary="A process with threads forks while a thread holds a lock",
    story=(
        "The trainer starts a worker process for each epoch's statistics. One of its threads is just writing to the "
        "shared table. A fork copies the lock as it is, held, but not the thread that would let it go."
    ),
    stuck=(Arm("fork", "multiprocessing's fork: the child has the lock, held, and no thread to release it"),),
    healthy=(Arm("spawn", "multiprocessing's spawn: the child starts anew, with a lock of its own"),),
    cause="fork-with-threads",
    why="only the forking thread exists in the child",
)
