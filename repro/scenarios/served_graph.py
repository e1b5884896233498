"""An exported graph whose inputs are TFRecord readers, run by native code that never starts its queues."""

from __future__ import annotations

import msgspec

from repro.jobs.single import single
from repro.scenario import Arm, Need

SCENARIO = msgspec.structs.replace(
    single(
        "served-graph",
        summary="A graph that reads TFRecord files, served from C without starting its queues",
        story=(
            "A graph is exported with its input pipeline: string_input_producer, TFRecordReader, batch. A program in C "
            "loads it, restores the variables and asks for a prediction. There is no Python in it, and nobody who "
            "would start the queue runners."
        ),
        stuck=(
            Arm("batched", "it runs the graph as it is: the step waits for the queue of batches"),
            Arm("reader", "the same without a queue of batches: the reader waits for the queue of file names"),
        ),
        healthy=(Arm("fed", "it feeds serialized records in place of the reader's output"),),
        cause="tf-queue-not-started",
        why="nobody fills the queue that the reader takes its file names from",
    ),
    runtimes=("tf1.12", "tf1.13", "tf1.15"),
    default_runtime="tf1.12",
    needs=tuple(Need(tool, "apt-get install cmake build-essential") for tool in ("cmake", "cc", "nm")),
)
