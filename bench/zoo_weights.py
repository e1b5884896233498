"""What the zoo's runs say of each weight: how often an observation is seen where the cause is true, and where not.

The log of the ratio of the two shares is what a weight ought to be, if the runs are like the jobs of users and
the observation depends on no other. They are few and alike, so it is a hint: above all where it has the other sign.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from diagnostics import causes
from diagnostics.causes.weights import WEIGHTS, Weight, weight_of

FEW = 5
"""Runs of either kind below which the data say nothing."""


class Run(NamedTuple):
    """The family that is true of a run, and cause -> what spoke for and against it."""

    truth: str
    observations: Mapping[str, Sequence[str]]


class Row(NamedTuple):
    """`own` of `of_own` runs whose family is the cause's had the observation, `others` of `of_others` had."""

    weight: Weight
    cause: str
    own: int
    of_own: int
    others: int
    of_others: int

    @property
    def by_data(self) -> float:
        """Natural log odds; nan where there are few runs. Half a run more of each: no share is 0 or 1."""
        if min(self.of_own, self.of_others) < FEW:
            return math.nan
        return math.log(_share(self.own, self.of_own) / _share(self.others, self.of_others))


def _share(seen: int, of: int) -> float:
    return (seen + 0.5) / (of + 1)


def rows(runs: Sequence[Run]) -> Iterator[Row]:
    """Of every cause that some run had a case for, its observations in the order of the table."""
    for cause in causes.load():
        own = [run for run in runs if run.truth == cause.family and cause.id in run.observations]
        of_own = sum(run.truth == cause.family for run in runs)
        others = [run for run in runs if run.truth != cause.family and cause.id in run.observations]
        if not own and not others:
            continue
        for observation in _observations_of(cause.id):
            yield Row(
                weight_of(cause.id, observation), cause.id, _seen(observation, cause.id, own), of_own,
                _seen(observation, cause.id, others), len(runs) - of_own,
            )  # fmt: skip


def _observations_of(cause: str) -> Iterable[str]:
    """Its own, and those that any cause may have."""
    named = [weight.observation for weight in WEIGHTS if weight.cause in (cause, "*")]
    return (name for name in dict.fromkeys(named) if name != "prior")


def _seen(observation: str, cause: str, runs: Iterable[Run]) -> int:
    return sum(observation in run.observations[cause] for run in runs)


def table(runs: Sequence[Run]) -> str:
    """Only observations that were seen."""
    lines = [
        "observations: how often in runs of the cause's family, in others, and what that makes of the weight", "",
        f"{'cause':30} {'observation':24} {'own':>9} {'others':>9} {'weight':>7} {'data':>6}  from",
    ]  # fmt: skip
    for row in rows(runs):
        if not row.own and not row.others:
            continue
        by_data = f"{row.by_data:+.1f}" if not math.isnan(row.by_data) else "few"
        other_sign = " !" if row.by_data * row.weight.value < 0 and abs(row.by_data) > 1 else ""
        own, others = f"{row.own}/{row.of_own}", f"{row.others}/{row.of_others}"
        lines.append(
            f"{row.cause:30} {row.weight.observation:24} {own:>9} {others:>9} {row.weight.value:+7.1f} {by_data:>6}"
            f"  {row.weight.origin.name.lower()}{other_sign}"
        )
    return "\n".join([*lines, "", "!: the data have the other sign"])
