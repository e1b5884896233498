"""Scenarios of one process without a framework: a training loop that gets stuck in plain Python or native code."""

from __future__ import annotations

from repro.scenario import Arm, Expected, Scenario, Setting, Settings

PYTHONS = ("py3.6", "py3.8", "py3.11", "py3.12", "py3.13")

SETTINGS = (
    Setting("epoch_ends", 8, "epochs to train", 1),
    Setting("batches", 10, "steps an epoch", 1, 100_000),
    Setting("step_ms", 5, "milliseconds of work a step", 0, 60_000),
    Setting("hang_at", 3, "epoch, from 0, whose last step gets stuck", 0),
    Setting("recorder", True, "with the flight recorder in the job"),
)


def worker_only(settings: Settings) -> tuple[str, ...]:
    return ("worker:0",)


def single(
    name: str,
    summary: str,
    story: str,
    *,
    stuck: tuple[Arm, ...] = (),
    healthy: tuple[Arm, ...],
    cause: str = "",
    why: str,
    lookalike: bool = False,
) -> Scenario:
    """A scenario whose `stuck` arms hang of `cause` in epoch `hang_at`, and whose `healthy` ones never do."""
    stuck_names = {arm.name for arm in stuck}

    def expected(arm: str, release: tuple[int, ...], settings: Settings) -> Expected:
        reached = settings["epoch_ends"] > settings["hang_at"]
        if arm in stuck_names and reached:
            return Expected(hang=True, cause=cause, why=why, culprit="worker:0")
        return Expected(hang=False, why="it gets past that place" if arm in stuck_names else "the healthy twin")

    first = (stuck or healthy)[0]
    return Scenario(
        name=name,
        summary=summary,
        story=story,
        program=name.replace("-", "_"),
        arms=(*stuck, *healthy),
        default_arms=tuple(dict.fromkeys((first.name, healthy[0].name))),
        settings=SETTINGS,
        runtimes=PYTHONS,
        ranks=worker_only,
        expected=expected,
        default_runtime="py3.11",
        lookalike=lookalike,
    )
