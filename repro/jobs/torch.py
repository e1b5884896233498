"""Scenarios of several PyTorch ranks on gloo, each on a CPU."""

from __future__ import annotations

from collections.abc import Sequence

from repro.scenario import Arm, Expected, Scenario, Setting, Settings

SETTINGS = (
    Setting("workers", 2, "ranks", 2, 16),
    Setting("epoch_ends", 8, "epochs that each rank trains", 1),
    Setting("batches", 10, "steps an epoch", 1, 100_000),
    Setting("step_ms", 5, "milliseconds of work a step", 0, 60_000),
    Setting("hang_at", 3, "epoch, from 0, whose last step gets stuck", 0),
    Setting("recorder", True, "with the flight recorder in the job"),
)


def workers(settings: Settings) -> tuple[str, ...]:
    return tuple(f"worker:{index}" for index in range(settings["workers"]))


def torch_job(
    name: str,
    summary: str,
    story: str,
    *,
    stuck: Arm,
    healthy: Arm,
    cause: str,
    why: str,
    more: Sequence[Setting] = (),
) -> Scenario:
    """A scenario whose `stuck` arm hangs of `cause` in epoch `hang_at`, and whose `healthy` one never does.

    `more` are settings of its own.
    """

    def expected(arm: str, release: tuple[int, ...], settings: Settings) -> Expected:
        if arm == stuck.name and settings["epoch_ends"] > settings["hang_at"]:
            return Expected(hang=True, cause=cause, why=why)
        return Expected(hang=False, why="the healthy twin" if arm == healthy.name else "it ends before that epoch")

    return Scenario(
        name=name,
        summary=summary,
        story=story,
        program=name.replace("-", "_"),
        arms=(stuck, healthy),
        default_arms=(stuck.name, healthy.name),
        settings=(*SETTINGS, *more),
        runtimes=("torch",),
        ranks=workers,
        expected=expected,
        default_runtime="torch",
    )
