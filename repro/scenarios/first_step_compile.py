"""A look-alike: the first step compiles for seconds, and nothing is stuck."""

from __future__ import annotations

import msgspec

from repro.jobs.single import single
from repro.scenario import Arm

SCENARIO = msgspec.structs.replace(
    single(
        "first-step-compile",
        summary="Look-alike: the first step traces and optimizes a large graph",
        story="A tf.function of thousands of operations is traced, and its graph optimized, when it is called first.",
        lookalike=True,
        healthy=(Arm("compiling", "tracing and graph optimization inside the first step that calls it"),),
        why="it computes, and comes back",
    ),
    runtimes=("tf2",),
    default_runtime="tf2",
)
