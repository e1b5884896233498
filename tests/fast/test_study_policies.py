"""Comparing, bisecting and shrinking, played against simulated trials at the measured rates."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest

from diagnostics.errors import UsageError
from repro.cli.shrink import axes_of
from repro.study import bisection, comparison, shrinking
from repro.study.cell import CONTROL, Cell, crossed, one_by_one, parse_axes
from repro.study.comparison import Question
from repro.study.rates import Count
from repro.study.runner import Pacing, Policy, target_of, training_share
from repro.study.store import Result, Trial, counts

CAUSE = "tf-late-recv-after-abort"
PACE = 30.0

MEASURED = {
    "tf1.4": 1 / 60, "tf1.5": 1 / 200, "tf1.6": 1 / 200, "tf1.7": 1 / 200, "tf1.8": 1 / 722, "tf1.9": 1 / 200,
    "tf1.10": 1 / 200, "tf1.11": 1 / 200, "tf1.12": 1 / 200, "tf1.13": 1e-6, "tf1.14": 1e-6, "tf1.15": 1e-6,
}  # fmt: skip
"""Rates an epoch end. Those of 1.4, 1.8, 1.12 were measured; those between are like them; 1.13 and later never hung."""


def simulate(rate: float, target: int, chance: random.Random) -> Result:
    """A trial that hangs with this rate at each epoch end, as a worker would tell of it."""
    ends = min(target, int(math.log(1 - chance.random()) / math.log1p(-rate))) if rate > 1e-5 else target
    if ends == target:
        return Result("finished", epoch_ends=target, training=target / PACE, wall=target / PACE + 5)
    return Result(
        "hung", epoch_ends=ends, training=ends / PACE, wall=ends / PACE + 12, cause=CAUSE, shape="worker waits for ps"
    )


def play(
    policy: Policy, rate_of: Callable[[Cell], float], seed: int, most: int = 3000
) -> list[Trial]:
    """Run a study to its end with simulated trials."""
    chance = random.Random(seed)
    trials: list[Trial] = []
    while (cell := policy(trials)) and len(trials) < most:
        target = target_of(trials, cell.label, Pacing())
        result = simulate(rate_of(cell), target, chance)
        trials.append(Trial(len(trials) + 1, cell.label, target, "ended", result))
    assert len(trials) < most
    return trials


BASE = Cell("baseline", "last-batch", "dataset", "tf1.12")


def star(**levels: list[str]) -> dict[str, Cell]:
    cells = one_by_one(BASE, levels)
    return {cell.label: cell for cell in [*cells, BASE.changed(CONTROL, {})]}


def test_a_comparison_finds_what_was_measured_and_leaves_the_control_alone() -> None:
    """GIVEN the published conditions, THEN one server or thread is lower, A/A is not."""
    cells = star(ps=["1"], inter_op=["1"], variables=["50"], runtime=["tf1.13"])
    rates = {"ps=1": 0.0, "inter_op=1": 0.0, "variables=50": 1 / 318, "runtime=tf1.13": 1e-6}
    question = Question(alpha=0.01, most=8000)
    for seed in range(5):
        trials = play(
            lambda trials: comparison.next_cell(cells, trials, question, seed=1),
            lambda cell: rates.get(cell.label, 1 / 200),
            seed,
        )
        rows = {row.cell: row for row in comparison.assess(cells, trials, question)}
        assert rows["ps=1"].answer == rows["inter_op=1"].answer == rows["runtime=tf1.13"].answer == "lower"
        assert rows["ps=1"].p < 0.01 and rows["ps=1"].ratio and rows["ps=1"].ratio.high < 1
        assert rows["variables=50"].answer in ("alike", "open")
        assert rows[CONTROL].answer in ("alike", "open")
        assert rows["baseline"].interval.low < 1 / 200 < rows["baseline"].interval.high


def test_what_looks_different_is_tried_more_often() -> None:
    """GIVEN a cell that has not hung where the baseline would have ten times, and one that hangs as often."""
    cells = star(ps=["1", "2"])
    seen = {"baseline": (10, 2000), "ps=1": (0, 2000), "ps=2": (10, 2000)}
    trials = [
        Trial(number, label, 200, "ended", Result("hung" if hit else "finished", epoch_ends=200, training=7.0,
              wall=9.0, cause=CAUSE if hit else "", shape="worker waits for ps" if hit else ""))
        for number, (label, hit) in enumerate(
            ((label, turn < hits) for turn in range(10) for label, (hits, _) in seen.items()), 1
        )
    ]  # fmt: skip
    for _ in range(60):
        cell = comparison.next_cell(cells, trials, Question(alpha=1e-9, most=10**6), seed=1)
        assert cell
        trials.append(Trial(len(trials) + 1, cell.label, 200, "ended", Result("finished", epoch_ends=0)))
    tried = [trial.cell for trial in trials[30:]]
    assert tried.count("ps=1") >= 2 * tried.count("ps=2") > 0


def test_equal_cells_are_not_told_apart() -> None:
    """The stated error holds for whole studies, with stopping as soon as anything is claimed."""
    cells = star(batches=["2", "3"])
    question = Question(alpha=0.05, most=3000, factor=100)
    wrong = 0
    for seed in range(60):
        trials = play(lambda trials: comparison.next_cell(cells, trials, question, seed=2), lambda cell: 1 / 100, seed)
        wrong += any(row.answer in ("lower", "higher") for row in comparison.assess(cells, trials, question))
    assert wrong <= 7  # 5 % of 60 is 3; more than 7 happens once in 70 at the bound


@pytest.mark.parametrize(("rate", "kind", "answer"), [(5e-3, "above", "above"), (0.0, "below", "below")])
def test_a_rate_is_told_from_a_bound(rate: float, kind: str, answer: str) -> None:
    cells = {"baseline": BASE}
    question = Question(kind=kind, rate=1e-3, alpha=0.05)
    trials = play(lambda trials: comparison.next_cell(cells, trials, question, seed=3), lambda cell: rate, 1)
    (row,) = comparison.assess(cells, trials, question)
    assert (row.answer, row.ratio) == (answer, None)


def test_trials_are_interleaved_at_random() -> None:
    cells = star(ps=["1", "2"], inter_op=["1"])
    question = Question(most=4000)
    orders = []
    for seed in (1, 2):
        trials: list[Trial] = []
        for number in range(1, 25):
            cell = comparison.next_cell(cells, trials, question, seed)
            assert cell
            trials.append(Trial(number, cell.label, 100, "ended", Result("finished", epoch_ends=100)))
        for block in range(3):
            assert {"ps=1", "ps=2", "inter_op=1"} <= {trial.cell for trial in trials[block * 6 : block * 6 + 6]}
        orders.append([trial.cell for trial in trials])
    assert orders[0] != orders[1]


def test_unknown_failed_lost_and_other_hangs_are_no_hits() -> None:
    kinds = [
        Result("hung", epoch_ends=9, cause=CAUSE, shape="worker waits for ps"),
        Result("hung", epoch_ends=20, cause="peer-dead", shape="worker waits for ps"),
        Result("hung", epoch_ends=30),
        Result("unknown", epoch_ends=40),
        Result("failed", epoch_ends=50),
        Result("finished", epoch_ends=60),
        Result("time-limit", epoch_ends=70),
    ]
    trials = [Trial(number, "a", 100, "ended", result) for number, result in enumerate(kinds)]
    assert counts(trials) == {"a": Count(1, 10 + 21 + 60 + 70)}
    # A hang comes to its end early: what started before it and still runs has to be waited for.
    late = [Trial(0, "a", 100, "running"), Trial(1, "a", 100, "ended", kinds[0])]
    assert counts(late) == {}


def test_a_cell_that_always_fails_ends_the_study() -> None:
    cells = {"baseline": BASE}
    failed = [Trial(number, "baseline", 10, "ended", Result("failed", "no such file")) for number in range(3)]
    assert comparison.next_cell(cells, failed, Question("above", 1e-3), 1) is None
    assert comparison.assess(cells, failed, Question("above", 1e-3))[0].stopped == "no such file"


def bisect(rates: dict[str, float], seed: int) -> tuple[bisection.Standing, list[Trial]]:
    releases, asked = list(rates), bisection.Asked()

    def policy(trials: Sequence[Trial]) -> Cell | None:
        release = bisection.standing(releases, counts(trials), asked).next
        return BASE.changed(release, {"runtime": release}) if release else None

    trials = play(policy, lambda cell: rates[cell.runtime], seed)
    return bisection.standing(releases, counts(trials), asked), trials


def test_bisect_names_the_release_at_the_measured_rates() -> None:
    """In at least 19 of 20 runs, and in a time that a user waits for."""
    runs = [bisect(MEASURED, seed) for seed in range(60)]
    assert sum(found.answer == "tf1.13" for found, _ in runs) >= 57
    hours = [sum(trial.result.wall for trial in trials if trial.result) / 3600 for _, trials in runs]
    assert sorted(hours)[54] < 20 / 60


def test_bisect_finds_any_release_and_spends_trials_where_they_decide() -> None:
    names = list(MEASURED)
    right = 0
    for seed in range(44):
        first_good = 1 + seed % 11
        found, trials = bisect(
            {name: 1 / 150 if place < first_good else 1e-6 for place, name in enumerate(names)}, seed
        )
        right += found.answer == names[first_good]
        near = {names[first_good - 1], names[first_good], names[0], names[-1]}
        assert sum(trial.cell in near for trial in trials) >= len(trials) / 2
    assert right >= 42


def test_bisect_checks_both_ends_first() -> None:
    nowhere, _ = bisect(dict.fromkeys(MEASURED, 1e-6), 1)
    assert "tf1.4 should hang" in nowhere.problem
    everywhere, trials = bisect(dict.fromkeys(MEASURED, 1 / 100), 1)
    assert "tf1.15 hangs as well" in everywhere.problem
    assert {trial.cell for trial in trials} == {"tf1.4", "tf1.15"}


AXES = [shrinking.Axis("ps", 1, 4), shrinking.Axis("inter_op", 1, 4), shrinking.Axis("variables", 1, 200)]


def test_shrink_takes_the_settings_of_the_model_too() -> None:
    assert [(axis.name, axis.least, axis.start) for axis in axes_of(BASE, ["ps", "variables"], strict=True)] == [
        ("ps", 1, 4), ("variables", 1, 200),
    ]  # fmt: skip
    with pytest.raises(UsageError, match="colour is not a setting"):
        axes_of(BASE, ["colour"], strict=True)


def test_shrink_ends_at_the_smallest_setting_that_hangs() -> None:
    """GIVEN a hang that needs two servers, two threads and 40 variables, THEN shrink finds them, with the rates."""

    def rate(setting: dict[str, int]) -> float:
        return 1 / 150 if setting["ps"] >= 2 and setting["inter_op"] >= 2 and setting["variables"] >= 40 else 1e-6

    asked = shrinking.Asked()
    settings: dict[str, dict[str, int]] = {}

    def policy(trials: Sequence[Trial]) -> Cell | None:
        setting = shrinking.standing(AXES, counts(trials), asked).next
        if setting is None:
            return None
        name = shrinking.label(setting)
        settings[name] = setting
        return BASE.changed(name, {key: str(value) for key, value in setting.items()})

    trials = play(policy, lambda cell: rate(settings[cell.label]), 4)
    found = shrinking.standing(AXES, counts(trials), asked)
    assert found.best and (found.best["ps"], found.best["inter_op"]) == (2, 2)
    assert 40 <= found.best["variables"] <= 50
    reasons = shrinking.why_not_smaller(AXES, found)
    assert reasons["ps"].startswith("ps=1: 0 hangs")
    assert all(judged.hangs is not None for _, judged in found.steps)


def test_shrink_goes_to_the_least_where_all_hangs_and_says_when_nothing_does() -> None:
    always = {shrinking.label(s): Count(9, 300) for s in _all_settings()}
    assert shrinking.standing(AXES, always, shrinking.Asked()).best == {"ps": 1, "inter_op": 1, "variables": 1}
    never = {shrinking.label({"ps": 4, "inter_op": 4, "variables": 200}): Count(0, 9000)}
    assert "does not hang" in shrinking.standing(AXES, never, shrinking.Asked()).problem


def _all_settings() -> list[dict[str, int]]:
    values = [range(axis.least, axis.start + 1) for axis in AXES]
    return [{"ps": a, "inter_op": b, "variables": c} for a in values[0] for b in values[1] for c in (1, 200)]


def test_the_training_share_is_of_what_a_trial_takes() -> None:
    trials = [Trial(1, "a", 1, "ended", Result("finished", training=24, wall=30)), Trial(2, "a", 1, "running")]
    assert training_share(trials) == pytest.approx(0.8)


def test_axes_make_cells() -> None:
    axes = parse_axes(["ps=4,1", "stress=none,burn:2+cores:1", "fault=none,freeze:ps:0;at=5;for=2"])
    cells = crossed(BASE, axes)
    assert len(cells) == 8 and cells[0].label == "ps=4 stress=none fault=none"
    assert cells[-1].stressors == ("burn:2", "cores:1") and cells[-1].faults == ("freeze:ps:0,at=5,for=2",)
    assert [cell.label for cell in one_by_one(BASE, {"ps": ["4", "2"], "runtime": ["tf1.12.0", "tf1.8"]})] == [
        "baseline", "ps=2", "runtime=tf1.8",
    ]  # fmt: skip
    assert [cell.label for cell in crossed(BASE, {})] == ["baseline"]


@pytest.mark.parametrize(
    "change", [{"arm": "x"}, {"ps": "0"}, {"stress": "pray:1"}, {"backend": "x"}, {"fault": "freeze:ps:9"}]
)
def test_a_cell_that_cannot_be_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        BASE.changed("x", change)
