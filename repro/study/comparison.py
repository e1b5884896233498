"""What a comparison knows, and which cell it needs next. Pure functions of the trials so far.

Evidence is a bet that may be looked at after every trial (see `evidence`); the number of comparisons is corrected for
by Holm's method; what was decided once stays decided. Trials of all open cells are interleaved in random order.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

import msgspec

from repro.study import evidence, rates
from repro.study.cell import CONTROL, Cell
from repro.study.rates import Count, Interval
from repro.study.runner import failing
from repro.study.store import Trial, counts, reference, settled

ENOUGH_HITS = 60
"""More hits of one cell make no comparison much sharper."""
PROMISING = 4
"""Trials a round of a cell that seems different."""
EXPECTED_HITS = 2.0
"""Hits, or such as the baseline would have had, before anything is read from their number."""


class Question(msgspec.Struct, frozen=True):
    """`kind`: `different` (each cell from the baseline), `below` or `above` (each cell against `rate`).

    `alpha` bounds the chance of even one false claim. `most` is the exposure at which a cell stays open. Rates within
    a `factor` of each other are called alike.
    """

    kind: str = "different"
    rate: float = 0.0
    alpha: float = 0.01
    most: int = 20_000
    factor: float = 4.0


class Row(msgspec.Struct, frozen=True):
    """What is known of one cell. `ratio` is its rate over the baseline's, with an interval of 95 %.

    `answer`: `lower`, `higher`, `alike` (than the baseline), `below`, `above` (the rate asked for), `open`,
    `baseline`. `p` is corrected for the number of comparisons, -1 where nothing is compared. `other` hangs had
    another fingerprint; `unknown` trials count as nothing.
    """

    cell: str
    count: Count
    interval: Interval
    answer: str
    p: float = -1.0
    ratio: Interval | None = None
    other: int = 0
    unknown: int = 0
    failed: int = 0
    contention: float = -1.0
    others: float = -1.0
    error_after_ms: float = -1.0
    pace: float = 0.0
    stopped: str = ""


def assess(cells: Mapping[str, Cell], trials: Sequence[Trial], question: Question) -> list[Row]:
    """A row for each cell; the first cell is the baseline."""
    labels = list(cells)
    compared = labels[1:] if question.kind == "different" else labels
    strongest, sides = _strongest(labels, compared, settled(trials), reference(trials), question)
    tested = [label for label in compared if label != CONTROL]
    corrected = dict(zip(tested, evidence.holm([evidence.p_value(strongest[label]) for label in tested]), strict=True))
    known = counts(trials)
    rows = []
    for label in labels:
        count, ratio = known.get(label, Count()), None
        p = corrected.get(label, evidence.p_value(strongest[label]) if label in strongest else -1.0)
        answer = "baseline" if label not in compared else "open"
        if label in compared and p < question.alpha:
            answer = sides[label]
        if question.kind == "different" and label in compared:
            ratio = evidence.ratio_interval(known.get(labels[0], Count()), count)
            if answer == "open" and _alike(known.get(labels[0], Count()), count, question, len(tested)):
                answer = "alike"
        rows.append(_row(label, count, answer, p, ratio, trials, question))
    return rows


def _alike(baseline: Count, count: Count, question: Question, comparisons: int) -> bool:
    if not (baseline.hits and count.hits):
        return False
    limit = -math.log(question.alpha / max(1, comparisons))
    return (
        all(evidence.against_ratio(baseline, count, ratio) > limit for ratio in (question.factor, 1 / question.factor))
        and 1 / question.factor < count.rate / baseline.rate < question.factor
    )


def _strongest(
    labels: Sequence[str], compared: Sequence[str], trials: Sequence[Trial], fingerprint: str, question: Question
) -> tuple[dict[str, float], dict[str, str]]:
    """The strongest evidence that each comparison ever had, and for which side: replays the trials in order."""
    known = dict.fromkeys(labels, Count())
    strongest, sides = dict.fromkeys(compared, 0.0), dict.fromkeys(compared, "open")
    for trial in trials:
        if trial.cell not in known:
            continue
        known[trial.cell] += trial.count(fingerprint)
        for label in compared if trial.cell == labels[0] and question.kind == "different" else [trial.cell]:
            if label not in strongest:
                continue
            value, side = _evidence(known[labels[0]], known[label], question)
            if value > strongest[label]:
                strongest[label], sides[label] = value, side
    return strongest, sides


def _evidence(baseline: Count, count: Count, question: Question) -> tuple[float, str]:
    if not count.exposure:
        return 0.0, "open"
    if question.kind == "different":
        if not baseline.exposure:
            return 0.0, "open"
        return evidence.against_equal(baseline, count), "lower" if count.rate < baseline.rate else "higher"
    below, above = evidence.against_at_least(count, question.rate), evidence.against_at_most(count, question.rate)
    return (below, "below") if below > above else (above, "above")


def _row(
    label: str, count: Count, answer: str, p: float, ratio: Interval | None, trials: Sequence[Trial], question: Question
) -> Row:
    own = [trial.result for trial in trials if trial.cell == label and trial.result]
    fingerprint = reference(trials)
    training = sum(result.training for result in own)
    stopped = failing(trials, label)
    if not stopped and answer == "open" and count.exposure >= question.most:
        stopped = f"{question.most} epoch ends"
    return Row(
        label, count, rates.running(count), answer, p, ratio,
        other=sum(bool(result.fingerprint) and result.fingerprint != fingerprint for result in own),
        unknown=sum(result.verdict == "unknown" or (result.verdict == "hung" and not result.cause) for result in own),
        failed=sum(result.verdict in ("failed", "lost") for result in own),
        contention=_mean([result.contention for result in own if result.contention >= 0]),
        others=_mean([result.others for result in own if result.others >= 0]),
        error_after_ms=_mean([result.error_after_ms for result in own if result.error_after_ms >= 0]),
        pace=sum(result.epoch_ends for result in own) / training if training else 0.0,
        stopped=stopped,
    )  # fmt: skip


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 3) if values else -1.0


def _promising(baseline: Row, row: Row, question: Question) -> bool:
    """Whether it seems to be further from the baseline than what is called alike."""
    if question.kind != "different" or row.cell == CONTROL or not baseline.count.hits:
        return False
    expected = baseline.count.rate * row.count.exposure
    if expected < EXPECTED_HITS and row.count.hits < EXPECTED_HITS:
        return False
    return not 1 / question.factor < row.count.hits / expected < question.factor


def next_cell(cells: Mapping[str, Cell], trials: Sequence[Trial], question: Question, seed: int) -> Cell | None:
    """The cell that the comparison needs next; None when everything is decided, or stays open.

    Every open cell has one trial a round, in random order, and one that seems different `PROMISING`: that can be shown
    soon. The baseline, which all share, has the square root of their number (Dunnett, JASA 1955). The control never
    keeps a study going. The bets hold for any choice that looks at the past only.
    """
    rows = {row.cell: row for row in assess(cells, trials, question)}
    opened = [label for label, row in rows.items() if row.answer == "open" and not row.stopped]
    if not any(label != CONTROL for label in opened):
        return None
    baseline = next(iter(cells))
    weights = {label: PROMISING if _promising(rows[baseline], rows[label], question) else 1 for label in opened}
    if question.kind == "different" and rows[baseline].count.hits < ENOUGH_HITS and not failing(trials, baseline):
        weights[baseline] = max(1, round(math.sqrt(sum(weights.values()))))
    if CONTROL in weights and rows[CONTROL].count.hits >= ENOUGH_HITS:
        del weights[CONTROL]
    turns = dict.fromkeys(weights, 0)
    for trial in trials:
        if trial.cell in turns and trial.state != "lost":
            turns[trial.cell] += 1
    chance = random.Random(f"{seed} {len(trials)}")
    behind = min(turns[label] // weights[label] for label in weights)
    candidates = [label for label in weights if turns[label] // weights[label] == behind]
    places = [weights[label] - turns[label] % weights[label] for label in candidates]
    return cells[chance.choices(candidates, places)[0]]
