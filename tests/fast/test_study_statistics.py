"""The statistics keep what they promise: simulated at known rates, intervals cover and errors stay bounded."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from repro.study import evidence, rates
from repro.study.forecast import exposure_to_see, exposure_to_tell_apart, forecast
from repro.study.rates import Count

RATES = [1e-4, 1e-3, 1e-2, 0.1, 0.5]
RUNS = 1500


def hits_after(rate: float, exposures: list[int], runs: int, seed: int) -> np.ndarray:
    """Hits of `runs` jobs at growing exposures, shape [runs, exposures]."""
    generator = np.random.default_rng(seed)
    steps = np.diff([0, *exposures])
    return np.cumsum([generator.binomial(step, rate, runs) for step in steps], axis=0).T


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("expected_hits", [0.5, 3, 20])
def test_the_exact_interval_covers_at_fixed_exposure(rate: float, expected_hits: float) -> None:
    exposure = max(1, round(expected_hits / rate))
    hits = np.random.default_rng(1).binomial(exposure, rate, RUNS)
    intervals = {int(k): rates.exact(Count(int(k), exposure)) for k in set(hits)}
    assert np.mean([rate in intervals[int(k)] for k in hits]) >= 0.93


@pytest.mark.parametrize("rate", RATES)
def test_the_running_interval_covers_at_every_look_at_once(rate: float) -> None:
    """A user looks after every trial and may stop where it looks worst: 95 % of runs never exclude the truth."""
    looks = sorted({math.ceil(x / rate) for x in np.geomspace(0.05, 60, 40)})
    missed = 0
    for run in hits_after(rate, looks, RUNS, seed=2):
        missed += any(
            rates.log_mixture(count) - rates.log_likelihood(count, rate) >= math.log(20)
            for count in (Count(int(k), n) for k, n in zip(run, looks, strict=True))
        )
    assert 1 - missed / RUNS >= 0.93


def test_the_running_interval_is_where_its_bet_says() -> None:
    for count in (Count(0, 4400), Count(6, 1200), Count(5, 5), Count(1, 1), Count(400, 1000)):
        interval = rates.running(count)
        for inside in np.linspace(interval.low, interval.high, 12)[1:-1]:
            assert rates.log_mixture(count) - rates.log_likelihood(count, float(inside)) < math.log(20)
        for outside in (interval.low * 0.98, interval.high * 1.02):
            if 0 < outside < 1:
                assert rates.log_mixture(count) - rates.log_likelihood(count, outside) > math.log(20)
        exact = rates.exact(count)
        assert interval.low <= exact.low and exact.high <= interval.high + 1e-12
    assert rates.running(Count()) == rates.Interval(0.0, 1.0)


@pytest.mark.parametrize("rate", RATES)
def test_equal_rates_are_rarely_called_different_however_often_one_looks(rate: float) -> None:
    looks = sorted({math.ceil(x / rate) for x in np.geomspace(0.2, 60, 25)})
    one = hits_after(rate, looks, RUNS, seed=3)
    other = hits_after(rate, [2 * n for n in looks], RUNS, seed=4)  # unequal exposure, as in a real study
    wrong = sum(
        any(
            evidence.against_equal(Count(int(a), n), Count(int(b), 2 * n)) >= math.log(20)
            for a, b, n in zip(first, second, looks, strict=True)
        )
        for first, second in zip(one, other, strict=True)
    )
    assert wrong / RUNS <= 0.05


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("ratio", [0.2, 1.5])
def test_the_ratio_interval_covers(rate: float, ratio: float) -> None:
    if rate * ratio > 1:
        pytest.skip("no such rate")
    exposure = math.ceil(15 / rate)
    generator = np.random.default_rng(5)
    pairs = zip(generator.binomial(exposure, rate, 300), generator.binomial(exposure, rate * ratio, 300), strict=True)
    covered = [ratio in evidence.ratio_interval(Count(int(a), exposure), Count(int(b), exposure)) for a, b in pairs]
    assert np.mean(covered) >= 0.93


@pytest.mark.parametrize("rate", RATES[:4])
@pytest.mark.parametrize("test", [evidence.against_at_least, evidence.against_at_most])
def test_a_rate_at_the_threshold_is_rarely_called_below_or_above(rate: float, test: object) -> None:
    looks = sorted({math.ceil(x / rate) for x in np.geomspace(0.2, 60, 25)})
    wrong = sum(
        any(test(Count(int(k), n), rate) >= math.log(20) for k, n in zip(run, looks, strict=True))  # type: ignore[operator]
        for run in hits_after(rate, looks, RUNS, seed=6)
    )
    assert wrong / RUNS <= 0.05


def test_what_is_so_gets_found() -> None:
    assert evidence.against_at_least(Count(0, 8000), 1e-3) > math.log(20)
    assert evidence.against_at_most(Count(9, 1200), 1e-3) > math.log(20)
    assert evidence.against_equal(Count(22, 4400), Count(0, 4500)) > math.log(1000)
    assert evidence.ratio_interval(Count(22, 4400), Count(0, 4500)).high < 0.5
    assert evidence.ratio_interval(Count(0, 4400), Count(20, 4000)).low > 2


def test_many_comparisons_are_corrected() -> None:
    assert evidence.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert evidence.holm([]) == []
    generator = random.Random(7)
    families = [[generator.random() for _ in range(12)] for _ in range(4000)]
    assert sum(min(evidence.holm(family)) < 0.05 for family in families) / 4000 <= 0.06


@pytest.mark.parametrize("rate", [1e-3, 1e-2])
def test_the_plan_is_kept(rate: float) -> None:
    """GIVEN the exposure that the plan names, THEN the difference is found in at least the planned share of studies."""
    for other in (0.0, rate / 5):
        exposure = exposure_to_tell_apart(rate, other, alpha=0.01, power=0.9)
        generator = np.random.default_rng(8)
        found = [
            evidence.against_equal(Count(int(a), exposure), Count(int(b), exposure)) >= math.log(100)
            for a, b in zip(
                generator.binomial(exposure, rate, 400), generator.binomial(exposure, other, 400), strict=True
            )
        ]
        assert np.mean(found) >= 0.88
    seen = np.random.default_rng(9).binomial(exposure_to_see(rate), rate, 4000)
    assert 0.935 <= np.mean(seen > 0) <= 0.965


def test_a_forecast_grows_with_rarity() -> None:
    common, rare = forecast(1e-3, pace=25.0), forecast(1e-5, pace=25.0)
    assert 95 < rare.to_see / common.to_see < 105
    assert rare.to_tell_apart > 90 * common.to_tell_apart
    assert common.to_see_hours == pytest.approx(common.to_see / 25 / 3600)
