"""How often: hits in so many epoch ends, with intervals that hold.

Each epoch end is one chance to hang, so hits are Bernoulli with an unknown rate. Which interval is right depends on
what stopped the counting: `exact` if the exposure was fixed beforehand, `running` if anything else did, looking at
the hits included.

SciPy is imported where it is used: it takes longer to import than the rest of the command line.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

PRIOR = (0.1, 1.0)
"""Beta weights over possible rates: nearly the same for each factor of ten from 1e-7 to 1, so no scale is favoured."""


class Count(msgspec.Struct, frozen=True):
    """`hits` hangs in `exposure` epoch ends; an epoch end that hung is one of them."""

    hits: int = 0
    exposure: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.hits + other.hits, self.exposure + other.exposure)

    @property
    def rate(self) -> float:
        """The likeliest rate an epoch end; nan without exposure."""
        return self.hits / self.exposure if self.exposure else float("nan")


class Interval(msgspec.Struct, frozen=True):
    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def exact(count: Count, level: float = 0.95) -> Interval:
    """Clopper and Pearson's interval: covers with at least `level` if the exposure was fixed beforehand."""
    from scipy.stats import beta

    tail = (1 - level) / 2
    k, n = count.hits, count.exposure
    low = float(beta.ppf(tail, k, n - k + 1)) if k else 0.0
    high = float(beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0
    return Interval(low, high)


def log_likelihood(count: Count, rate: float) -> float:
    """Of one sequence of epoch ends with these hits."""
    from scipy.special import xlog1py, xlogy

    return float(xlogy(count.hits, rate) + xlog1py(count.exposure - count.hits, -rate))


def log_mixture(count: Count) -> float:
    """The likelihood averaged over the prior: what a bet that knows no rate has earned."""
    from scipy.special import betaln

    a, b = PRIOR
    return float(betaln(a + count.hits, b + count.exposure - count.hits) - betaln(a, b))


def running(count: Count, level: float = 0.95) -> Interval:
    """Covers with at least `level` at every moment at once, so whatever stopped the counting.

    Holds the rates against which the mixture has not won a bet of 1 to 1/(1-level) (Ville's inequality). Wider
    than `exact` by a third or so: the price of looking.
    """
    if not count.exposure:
        return Interval(0.0, 1.0)
    limit = log_mixture(count) + math.log(1 - level)

    def margin(rate: float) -> float:
        return log_likelihood(count, rate) - limit

    peak = count.rate
    low = root(margin, 1e-300, peak) if count.hits else 0.0
    high = root(margin, peak, 1 - 1e-15) if count.hits < count.exposure else 1.0
    return Interval(low, high)


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a monotone function is zero; the nearer end if it is nowhere."""
    from scipy.optimize import brentq

    low_value, high_value = function(low), function(high)
    if low_value * high_value > 0:
        return low if abs(low_value) < abs(high_value) else high
    return float(brentq(function, low, high, xtol=1e-15, rtol=1e-10, maxiter=500))
