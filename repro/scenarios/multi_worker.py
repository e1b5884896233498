"""Synchronous training on TensorFlow 2: healthy by itself, a place for faults."""

from __future__ import annotations

from repro.scenario import Arm, Expected, Scenario, Setting, Settings


def ranks(settings: Settings) -> tuple[str, ...]:
    return tuple(f"worker:{index}" for index in range(settings["workers"]))


def expected(arm: str, release: tuple[int, ...], settings: Settings) -> Expected:
    return Expected(hang=False, why="every worker takes the same number of steps")


SCENARIO = Scenario(
    name="multi-worker",
    summary="Synchronous TensorFlow 2 training that is healthy: what do faults make of it?",
    story=(
        "MultiWorkerMirroredStrategy on several workers: each step is an all-reduce, so a worker that is frozen, gone "
        "or cut off holds up all the others. By itself it finishes; add --fault."
    ),
    program="multi_worker",
    arms=(Arm("collective", "each step reduces the gradients over all workers; input from TFRecord files"),),
    default_arms=("collective",),
    settings=(
        Setting("workers", 2, "worker processes", 2, 16),
        Setting("variables", 4, "variables, each with a gradient to reduce", 1, 1000),
        Setting("batches", 20, "batches an epoch", 1, 100_000),
        Setting("epoch_ends", 100, "epochs that each worker trains", 1),
        Setting("pause_ms", 5, "milliseconds between two steps", 0, 10_000),
        Setting("recorder", True, "with the flight recorder in the job"),
    ),
    runtimes=("tf2",),
    default_runtime="tf2",
    ranks=ranks,
    expected=expected,
    says_stuck=False,
)
