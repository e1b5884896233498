"""Scenarios of several PyTorch ranks on gloo, each on a CPU."""

from __future__ import annotations

from collections.abc import Sequence

from repro.scenario import Arm, Culprit, Expected, Scenario, Setting, Settings, nobody_alone

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
    stuck: Arm | None = None,
    healthy: Arm,
    cause: str = "",
    why: str,
    more: Sequence[Setting] = (),
    lookalike: bool = False,
    culprit: Culprit = nobody_alone,
) -> Scenario:
    """A scenario whose `stuck` arm, if any, hangs of `cause` in epoch `hang_at`, and whose `healthy` one never does.

    `more` are settings of its own.
    """

    def expected(arm: str, release: tuple[int, ...], settings: Settings) -> Expected:
        if not stuck:
            return Expected(hang=False, why=why)
        if arm == stuck.name and settings["epoch_ends"] > settings["hang_at"]:
            return Expected(hang=True, cause=cause, why=why, culprit=culprit(arm, settings))
        return Expected(hang=False, why="the healthy twin" if arm == healthy.name else "it ends before that epoch")

    arms = (stuck, healthy) if stuck else (healthy,)

    return Scenario(
        name=name,
        summary=summary,
        story=story,
        program=name.replace("-", "_"),
        arms=arms,
        default_arms=tuple(arm.name for arm in arms),
        settings=(*SETTINGS, *more),
        runtimes=("torch",),
        ranks=workers,
        expected=expected,
        default_runtime="torch",
        lookalike=lookalike,
    )
