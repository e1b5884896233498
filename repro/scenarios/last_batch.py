"""The seed: distributed TensorFlow 1 freezes at the last batch of an epoch, with Dataset input."""

from __future__ import annotations

from repro.scenario import Arm, Expected, Scenario, Setting, Settings
from repro.workloads import WORKLOADS

MODELS = tuple(WORKLOADS)
CAUSE = "tf-late-recv-after-abort"
PATIENT_MS = 20
"""Reads that take longer than a step's start end the data while the worker already waits."""


def ranks(settings: Settings) -> tuple[str, ...]:
    return tuple(
        [f"worker:{index}" for index in range(settings["workers"])] + [f"ps:{index}" for index in range(settings["ps"])]
    )


def expected(arm: str, release: tuple[int, ...], settings: Settings) -> Expected:
    """From what was measured: docs/last-batch.md."""
    if release >= (2,):
        return Expected(hang=False, why="no hang was seen in TensorFlow 2")
    if settings["ps"] < 2:
        return Expected(hang=False, why="one server cannot be cancelled by another's error")
    if settings["inter_op"] == 1:
        return Expected(hang=False, why="one thread cannot abort a step while it starts its receives")
    if settings["stop_by_count"] and arm != "queue-closed":
        return Expected(hang=False, why="no step is run that fails, so there is nothing to abort")
    if arm == "queue" and settings["read_ms"] >= PATIENT_MS:
        return Expected(hang=False, why="the queue's end comes when the worker waits, after all receives have started")
    if arm == "queue" and release < (1, 13):
        return Expected(
            hang=True, cause=CAUSE, either=True, why="with prompt reads the queue is closed before the step"
        )
    if release >= (1, 13):
        return Expected(hang=True, cause=CAUSE, either=True, why="from 1.13 only the narrower window is open")
    if settings["input_on_ps"] and arm != "queue":
        return Expected(hang=True, cause=CAUSE, either=True, why="the error comes from a server, and later")
    if arm == "dataset-article":
        return Expected(hang=True, cause=CAUSE, either=True, why="its end of sequence is less prompt: hangs are rare")
    if settings["model"] != "wide":
        return Expected(hang=True, cause=CAUSE, either=True, why="this model starts fewer receives a step, or later")
    if settings["ps"] < 4 or settings["variables"] < 100 or settings["inter_op"] == 2:
        return Expected(hang=True, cause=CAUSE, either=True, why="fewer receives and servers: hangs are rarer")
    return Expected(hang=True, cause=CAUSE, why="the error comes while the step's receives are still being started")


SCENARIO = Scenario(
    name="last-batch",
    summary="Distributed TensorFlow 1 freezes at the last batch of an epoch",
    story=(
        "A worker trains on variables that live on several parameter servers. At the end of every epoch the input "
        "raises OutOfRangeError. If that happens while the step's receives from the servers are still being "
        "started, one of them may escape the abort and wait for ever."
    ),
    program="last_batch",
    arms=(
        Arm("dataset", "tf.data tensors in memory"),
        Arm("dataset-article", "TFRecord files, sloppy interleave, prefetch; the ctr model", {"model": "ctr"}),
        Arm("queue", "string_input_producer, TFRecordReader, tf.train.batch: a queue-runner pipeline"),
        Arm("queue-closed", "a FIFOQueue that is closed before the step starts: as prompt as a Dataset"),
    ),
    default_arms=("dataset", "queue"),
    settings=(
        Setting("workers", 1, "worker processes", 1, 64),
        Setting("ps", 4, "parameter servers", 1, 64),
        Setting("model", "wide", "what is trained; it adds settings of its own", choices=MODELS),
        Setting("inter_op", 4, "inter-op threads, set on tf.train.Server (0: one a core)", 0, 256),
        Setting("intra_op", 0, "intra-op threads, set on tf.train.Server (0: one a core)", 0, 256),
        Setting("batches", 1, "full batches an epoch", 1, 100_000),
        Setting("rows", 1, "rows in a batch", 1, 100_000),
        Setting("shards", 2, "TFRecord files that an epoch is read from (not for tensors in memory)", 1, 1000),
        Setting("uneven_shards", False, "the files have 1, 2, 3 ... parts of the rows, not equally many"),
        Setting("seed", 0, "of the rows: the same seed gives the same files"),
        Setting("remainder", 0, "rows in an additional, smaller last batch", 0, 100_000),
        Setting("drop_remainder", False, "drop that smaller last batch"),
        Setting("stop_by_count", False, "end an epoch after its last batch by counting, so that no error ends it"),
        Setting("input_on_ps", False, "the input lives on server 0, as one that workers share (not for arm queue)"),
        Setting("device_filters", False, "let a worker see the servers and itself only"),
        Setting("epoch_ends", 3000, "epochs that each worker trains", 1),
        Setting("read_ms", 40, "milliseconds a read takes (arm queue); 0: as prompt as a Dataset", 0, 10_000),
        Setting("recorder", True, "with the flight recorder in the job"),
        Setting("slow_percent", 0, "so many steps of a hundred, at random, are 20 times slower", 0, 100),
    ),
    runtimes=("tf1.4", "tf1.8", "tf1.12", "tf1.13", "tf1.15", "tf2"),
    ranks=ranks,
    expected=expected,
    says_stuck=False,
)
