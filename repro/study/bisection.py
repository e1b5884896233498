"""The first release without the hang, from answers that are noisy: a release that has it need not show it.

A release hangs at a rate of its own, anywhere above a threshold, or anywhere below it. The threshold is a part of what
the oldest release, which has to hang, was measured at. Each possible first good release has a probability by all
trials so far; the next trial goes where hanging or not is most open, and the search ends when one release
is as sure as was asked for. Pure functions of the trials so far.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from repro.study.rates import Count

SPREAD = 20.0
"""How many times rarer than on the oldest release the hang may be on a later one and still count as there. Among the
releases of TensorFlow that have the seed's hang the rates measured here differ by up to a factor of twelve."""
FIRST_HITS = 5
"""Hits of the oldest release before anything else is tried: what its rate is, within a factor of about three."""
_LEAST, _MOST, _POINTS = 1e-9, 0.7, 160


class Asked(msgspec.Struct, frozen=True):
    """`error` bounds the chance that the named release is wrong, by the model; `most` is epoch ends at an end of the
    range without an answer, after which the search gives up."""

    error: float = 0.05
    most: int = 30_000


class Standing(msgspec.Struct, frozen=True):
    """`probability`: release -> that it is the first without the hang. `next`: release to try, "" when it is over.

    `answer` is that first release, "" while none is sure enough, or where `problem` says that there is none.
    """

    probability: dict[str, float]
    threshold: float
    next: str = ""
    answer: str = ""
    problem: str = ""


def standing(releases: Sequence[str], counts: Mapping[str, Count], asked: Asked) -> Standing:
    """Where the search stands. `releases` in order, at least two; `counts` of those that were tried."""
    oldest, newest = releases[0], releases[-1]
    known = [counts.get(release, Count()) for release in releases]
    first = known[0]
    if first.hits < FIRST_HITS:
        if first.exposure >= asked.most:
            return Standing(
                {}, 0.0, problem=f"{oldest} should hang and came to {first.hits} hits in {first.exposure} epoch ends"
            )
        return Standing({}, 0.0, next=oldest)
    threshold = first.rate / SPREAD
    bad = [_log_mean(count, threshold, _MOST) for count in known]
    good = [_log_mean(count, _LEAST, threshold) for count in known]
    last = 1 / (1 + math.exp(min(700.0, good[-1] - bad[-1])))  # that the newest still hangs
    if last > 1 - asked.error / 2:
        return Standing(
            {}, threshold, problem=f"{newest} hangs as well: {known[-1].hits} hits in {known[-1].exposure} epoch ends"
        )
    probability = _first_good(releases, bad, good)
    if last > asked.error / 2:
        if known[-1].exposure >= asked.most:
            return Standing(
                probability,
                threshold,
                problem=f"whether {newest} hangs stays open after {known[-1].exposure} epoch ends",
            )
        return Standing(probability, threshold, next=newest)
    answer = max(probability, key=lambda release: probability[release])
    if probability[answer] >= 1 - asked.error / 2:
        return Standing(probability, threshold, answer=answer)
    return Standing(probability, threshold, next=_most_open(releases, probability))


def _first_good(releases: Sequence[str], bad: Sequence[float], good: Sequence[float]) -> dict[str, float]:
    """Every release after the oldest was as likely, before any trial."""
    import numpy as np
    from scipy.special import logsumexp

    scores = [sum(bad[:first]) + sum(good[first:]) for first in range(1, len(releases))]
    shares = np.exp(np.array(scores) - logsumexp(scores))
    return {release: float(share) for release, share in zip(releases[1:], shares, strict=True)}


def _most_open(releases: Sequence[str], probability: Mapping[str, float]) -> str:
    """The release of which it is least known whether it hangs: it does if the first good one comes later."""

    def hangs(release: str) -> float:
        return sum(probability.get(later, 0.0) for later in releases[releases.index(release) + 1 :])

    return min(releases[1:], key=lambda release: abs(hangs(release) - 0.5))


@functools.cache
def _rates(low: float, high: float) -> Any:
    import numpy as np

    return np.geomspace(low, high, _POINTS)


def _log_mean(count: Count, low: float, high: float) -> float:
    """Log of the likelihood, averaged over rates from low to high, every factor as likely."""
    import numpy as np
    from scipy.special import xlog1py, xlogy

    rates = _rates(low, high)
    logs = xlogy(count.hits, rates) + xlog1py(count.exposure - count.hits, -rates)
    most = float(logs.max())
    return most + math.log(float(np.exp(logs - most).mean()))
