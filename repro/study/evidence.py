"""Evidence that may be looked at after every trial: bets against a hypothesis, and what they prove.

Each function gives the natural log of what a bet of 1 has become. If the hypothesis holds, the chance that it *ever*
reaches 1/alpha is at most alpha (Ville), so its inverse is a p-value however the counting stopped. Against one rate
the bet is a likelihood ratio averaged over the rates on the other side; against "equal rates" it is divided by
the best that any equal rate can do (universal inference: Wasserman, Ramdas and Balakrishnan, PNAS 2020).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from repro.study.rates import PRIOR, Count, Interval, log_likelihood, log_mixture, root

RATIOS = (1e-9, 1e9)
"""Effects outside are given as zero or infinite."""


def against_at_least(count: Count, rate: float) -> float:
    """Evidence that the rate is below `rate`."""
    from scipy.special import betainc, betaln

    a, b = PRIOR
    k, miss = count.hits, count.exposure - count.hits
    return _one_sided(
        betainc(a + k, b + miss, rate), betaln(a + k, b + miss), betainc(a, b, rate), betaln(a, b), count, rate
    )


def against_at_most(count: Count, rate: float) -> float:
    """Evidence that the rate is above `rate`."""
    from scipy.special import betainc, betaln

    a, b = PRIOR
    k, miss = count.hits, count.exposure - count.hits
    return _one_sided(
        betainc(b + miss, a + k, 1 - rate), betaln(a + k, b + miss), betainc(b, a, 1 - rate), betaln(a, b), count, rate
    )


def _one_sided(share: float, scale: float, prior_share: float, prior_scale: float, count: Count, rate: float) -> float:
    if share <= 0:
        return -math.inf
    mixed = math.log(share) + scale - math.log(prior_share) - prior_scale
    return float(mixed - log_likelihood(count, rate))


def against_equal(one: Count, other: Count) -> float:
    """Evidence that two rates differ."""
    return against_ratio(one, other, 1.0)


def against_ratio(one: Count, other: Count, ratio: float) -> float:
    """Evidence that the rate of `other` is not `ratio` times that of `one`."""
    return log_mixture(one) + log_mixture(other) - _best_with_ratio(one, other, ratio)


def _best_with_ratio(one: Count, other: Count, ratio: float) -> float:
    """The highest likelihood with other's rate = ratio times one's: a quadratic in the rate of `one`."""
    hits = one.hits + other.hits
    if not hits:
        return 0.0
    misses, other_misses = one.exposure - one.hits, other.exposure - other.hits
    square = ratio * (hits + misses + other_misses)
    linear = hits * (1 + ratio) + misses + ratio * other_misses
    rate = 2 * hits / (linear + math.sqrt(max(0.0, linear * linear - 4 * square * hits)))
    return log_likelihood(one, min(rate, 1.0)) + log_likelihood(other, min(ratio * rate, 1.0))


def ratio_interval(one: Count, other: Count, level: float = 0.95) -> Interval:
    """The rate of `other` over that of `one`, at every moment at once; the effect size of a comparison."""
    limit = -math.log(1 - level)

    def margin(log_ratio: float) -> float:
        return against_ratio(one, other, math.exp(log_ratio)) - limit

    if not (one.hits or other.hits):
        return Interval(0.0, math.inf)
    least, most = math.log(RATIOS[0]), math.log(RATIOS[1])
    if one.hits and other.hits:
        peak = math.log(other.rate / one.rate)
        return Interval(math.exp(root(margin, least, peak)), math.exp(root(margin, peak, most)))
    if one.hits:
        return Interval(0.0, math.exp(root(margin, least, most)) if margin(most) > 0 else math.inf)
    return Interval(math.exp(root(margin, least, most)) if margin(least) > 0 else 0.0, math.inf)


def p_value(log_evidence: float) -> float:
    return min(1.0, math.exp(-log_evidence)) if log_evidence > 0 else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number: the chance of even one false claim below alpha stays below alpha."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected, worst = [1.0] * len(p_values), 0.0
    for place, index in enumerate(order):
        worst = max(worst, min(1.0, p_values[index] * (len(p_values) - place)))
        corrected[index] = worst
    return corrected
