"""Before it starts: how many epoch ends, and hours, it takes to see a rate and to tell it from another."""

from __future__ import annotations

import math

import msgspec

from repro.study.evidence import against_equal
from repro.study.rates import Count


class Forecast(msgspec.Struct, frozen=True):
    """For one rate an epoch end: epoch ends and machine-hours to see it, and to tell it from `other_rate`."""

    rate: float
    other_rate: float
    to_see: int
    to_see_hours: float
    to_tell_apart: int
    to_tell_apart_hours: float


def exposure_to_see(rate: float, chance: float = 0.95) -> int:
    """Epoch ends until at least one hang has come with this chance."""
    return max(1, math.ceil(math.log(1 - chance) / math.log1p(-rate)))


def exposure_to_tell_apart(rate: float, other_rate: float, alpha: float = 0.01, power: float = 0.9) -> int:
    """Epoch ends *of each of two arms* after which the evidence reaches 1/alpha with chance `power`.

    Looking earlier can only end it sooner. Exact for the hits of the arm with the higher rate, at the quantile that
    is unlucky; the other's hits are taken at the quantile that is unlucky for it.
    """
    high, low = max(rate, other_rate), min(rate, other_rate)
    if high == low:
        return -1
    least, most = 1, 2
    while not _decides(high, low, most, alpha, power):
        least, most = most, most * 2
        if most > 1 << 60:
            return -1
    while most - least > max(1, least // 200):
        middle = (least + most) // 2
        least, most = (least, middle) if _decides(high, low, middle, alpha, power) else (middle, most)
    return most


def _decides(high: float, low: float, exposure: int, alpha: float, power: float) -> bool:
    from scipy.stats import binom

    # Each side gets half of the bad luck that is allowed: together they stay below it.
    unlucky = (1 - power) / 2 if low else 1 - power
    few = max(0, int(binom.ppf(unlucky, exposure, high)))
    many = int(binom.ppf(1 - unlucky, exposure, low)) if low else 0
    if few / exposure <= many / exposure:
        return False
    return against_equal(Count(few, exposure), Count(many, exposure)) >= -math.log(alpha)


def forecast(
    rate: float, pace: float, other_rate: float = 0.0, training_share: float = 1.0, alpha: float = 0.01
) -> Forecast:
    """`pace` is epoch ends a second of training; `training_share` the part of a machine's time that is training."""
    hourly = pace * 3600 * training_share
    see, tell = exposure_to_see(rate), exposure_to_tell_apart(rate, other_rate, alpha)
    return Forecast(rate, other_rate, see, see / hourly, tell, 2 * tell / hourly if tell > 0 else math.inf)
