"""Scenarios of several graph-mode TensorFlow ranks: workers, and servers that hold the variables."""

from __future__ import annotations

from collections.abc import Sequence

from repro.scenario import Arm, Culprit, Expected, Scenario, Setting, Settings, nobody_alone

SETTINGS = (
    Setting("workers", 2, "worker processes; the first is the chief", 2, 16),
    Setting("ps", 1, "parameter servers", 1, 16),
    Setting("epoch_ends", 8, "epochs that each worker trains", 1),
    Setting("batches", 10, "batches an epoch", 1, 100_000),
    Setting("step_ms", 5, "milliseconds between two steps", 0, 60_000),
    Setting("hang_at", 3, "epoch, from 0, in which it happens", 0),
    Setting("recorder", True, "with the flight recorder in the job"),
)
RUNTIMES = ("tf1.12", "tf2")
WAITS_FOR_A_PEER = "still waiting for response"
"""TensorFlow writes it, with the peer's name, after ten seconds in which a session got no answer."""


def ranks(settings: Settings) -> tuple[str, ...]:
    return tuple(
        f"{role}:{index}" for role, key in (("worker", "workers"), ("ps", "ps")) for index in range(settings[key])
    )


def with_defaults(**defaults: int) -> tuple[Setting, ...]:
    """The settings, some with another default."""
    return tuple(
        Setting(
            one.name,
            defaults.get(one.name, one.default),
            one.help,
            min(one.least, defaults.get(one.name, one.least)),
            one.most,
        )
        for one in SETTINGS
    )


def ps_job(
    name: str,
    summary: str,
    story: str,
    *,
    stuck: Sequence[Arm] = (),
    healthy: Sequence[Arm],
    cause: str = "",
    why: str,
    settings: tuple[Setting, ...] = SETTINGS,
    program: str = "",
    told_in_log: str = "",
    slow_to_judge: Sequence[str] = (),
    culprit: Culprit = nobody_alone,
) -> Scenario:
    """A scenario whose `stuck` arms hang of `cause` in epoch `hang_at`, and whose `healthy` ones never do."""
    stuck_names = {arm.name for arm in stuck}

    def expected(arm: str, release: tuple[int, ...], settings: Settings) -> Expected:
        if arm not in stuck_names:
            return Expected(hang=False, why=why if not stuck_names else "the healthy twin")
        if settings["epoch_ends"] > settings["hang_at"]:
            return Expected(hang=True, cause=cause, why=why, culprit=culprit(arm, settings))
        return Expected(hang=False, why="it ends before that epoch")

    arms = (*stuck, *healthy)
    compared = (stuck[0], healthy[0]) if stuck else healthy[:2]
    return Scenario(
        name=name,
        summary=summary,
        story=story,
        program=program or name.replace("-", "_"),
        arms=arms,
        default_arms=tuple(arm.name for arm in compared),
        settings=settings,
        runtimes=RUNTIMES,
        ranks=ranks,
        expected=expected,
        told_in_log=told_in_log,
        slow_to_judge=tuple(slow_to_judge),
    )
