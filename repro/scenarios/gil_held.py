"""Native code waits for another Python thread, and does not let go of the interpreter lock."""

from __future__ import annotations

from repro.jobs.single import single
from repro.scenario import Arm

SCENARIO = single(
    "gil-held",
    summary="Native code waits and keeps the interpreter lock",
    story=(
        "The trainer calls a native function that waits until a loader thread has put data into a pipe. The function "
        "was bound without releasing the interpreter lock, which the loader needs to run at all."
    ),
    stuck=(Arm("kept", "the call keeps the lock (ctypes.PyDLL, or an extension without Py_BEGIN_ALLOW_THREADS)"),),
    healthy=(Arm("released", "the call releases the lock while it waits (ctypes.CDLL)"),),
    cause="gil-held",
    why="the loader cannot run while the trainer waits for it",
)
