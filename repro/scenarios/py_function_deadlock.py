"""Python code inside of a graph waits for a lock that whoever runs the graph holds."""

from __future__ import annotations

import msgspec

from repro.jobs.single import single
from repro.scenario import Arm

SCENARIO = msgspec.structs.replace(
    single(
        "py-function-deadlock",
        summary="A py_function takes a lock that its step's caller holds",
        story=(
            "A Dataset counts its rows in a py_function, under a lock. The trainer takes that lock to report it, "
            "and asks for the next batch while it holds it."
        ),
        stuck=(Arm("lock-held", "in epoch hang_at the next batch is asked for under the lock"),),
        healthy=(Arm("lock-free", "the lock is let go before the next batch is asked for"),),
        cause="callback-deadlock",
        why="the step waits for the py_function, and the py_function for the step's caller",
    ),
    runtimes=("tf2",),
    default_runtime="tf2",
)
