"""Scenarios of several PyTorch ranks on gloo, each on a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from repro.scenario import Arm, Culprit, Expected, Scenario, Setting, Settings, nobody_alone

SETTINGS = (
    Setting("workers", 2, "ranks", 2, 16),
    Setting("epoch_ends", 8, "epochs that each rank trains", 1),
    Setting("batches", 10, "steps an epoch", 1, 100_000),
    Setting("step_ms", 5, "milliseconds of work a step", 0, 60_000),
    Setting("hang_at", 3, "epoch, from 0, whose last step gets stuck", 0),
    Setting("recorder", True, "with the flight recorder in the job"),
)


LAUNCH = Setting(
    "launch",
    "hand",
    "what starts the ranks: each by hand, or one process that starts them all (without the flight recorder)",
    choices=("hand", "spawn", "torchrun"),
)
BY_SPAWN, BY_TORCHRUN = ({"launch": how, "recorder": "false"} for how in ("spawn", "torchrun"))


class Stuck(NamedTuple):
    """An arm that hangs of `cause` in epoch `hang_at`; `culprit` holds all up."""

    arm: Arm
    cause: str
    why: str
    culprit: Culprit = nobody_alone


def workers(settings: Settings) -> tuple[str, ...]:
    launched = settings.get("launch", "hand") != "hand"
    return tuple(f"worker:{index}" for index in range(1 if launched else settings["workers"]))


def torch_job(
    name: str,
    summary: str,
    story: str,
    *,
    stuck: Arm | None = None,
    healthy: Arm,
    cause: str = "",
    why: str,
    more: Sequence[Setting] = (),
    lookalike: bool = False,
    culprit: Culprit = nobody_alone,
) -> Scenario:
    """A scenario whose `stuck` arm, if any, hangs of `cause`, and whose `healthy` one never does.

    `more` are settings of its own.
    """
    hanging = (Stuck(stuck, cause, why, culprit),) if stuck else ()
    return torch_jobs(name, summary, story, stuck=hanging, healthy=healthy, why=why, more=more, lookalike=lookalike)


def torch_jobs(
    name: str,
    summary: str,
    story: str,
    *,
    stuck: Sequence[Stuck],
    healthy: Arm,
    why: str = "the healthy twin",
    more: Sequence[Setting] = (),
    lookalike: bool = False,
) -> Scenario:
    """A scenario with several arms that hang, which share a healthy twin. Of these the first runs by default."""
    hanging = {one.arm.name: one for one in stuck}

    def expected(arm: str, release: tuple[int, ...], settings: Settings) -> Expected:
        if not hanging:
            return Expected(hang=False, why=why)
        if arm == healthy.name:
            return Expected(hang=False, why="the healthy twin")
        if settings["epoch_ends"] <= settings["hang_at"]:
            return Expected(hang=False, why="it ends before that epoch")
        one = hanging[arm]
        return Expected(hang=True, cause=one.cause, why=one.why, culprit=one.culprit(arm, settings))

    arms = (*(one.arm for one in stuck), healthy)
    return Scenario(
        name=name,
        summary=summary,
        story=story,
        program=name.replace("-", "_"),
        arms=arms,
        default_arms=tuple(dict.fromkeys((arms[0].name, healthy.name))),
        settings=(*SETTINGS, *more),
        runtimes=("torch",),
        ranks=workers,
        expected=expected,
        default_runtime="torch",
        lookalike=lookalike,
    )
