"""Trials, rates and tables as people read them, and what every study ends with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from repro.study.rates import Count, Interval
from repro.study.runner import training_share
from repro.study.store import Study, Trial


def told(trial: Trial) -> str:
    """A trial that has ended, in one line."""
    result = trial.result
    if result is None:
        return trial.state
    if result.verdict in ("failed", "lost", "unknown"):
        return f"{result.verdict}: {result.why}"
    hung = f" ({result.cause or 'no cause named'})" if result.verdict == "hung" else ""
    return f"{result.verdict}{hung} after {result.epoch_ends} epoch ends, {result.training:.0f} s of training"


def table(title: str, *columns: str, right: Sequence[str] = ()) -> Table:
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def rate(value: float) -> str:
    """A rate or ratio for people: `1 in 312`, `none`."""
    if not value or math.isnan(value):
        return "-"
    return f"1 in {1 / value:,.0f}" if value < 0.1 else f"{value:.2g}"


def span(interval: Interval) -> str:
    high = "any" if math.isinf(interval.high) else f"{interval.high:.2g}"
    return f"{interval.low:.2g} to {high}"


def counted(count: Count) -> str:
    return f"{count.hits} in {count.exposure:,}"


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"


def study_facts(study: Study) -> dict[str, Any]:
    """What every study's JSON ends with."""
    trials = study.trials()
    results = [trial.result for trial in trials if trial.result]
    wall = sum(result.wall for result in results)
    share = training_share(trials)
    return {
        "study": str(study.path),
        "trials": len(results),
        "lost": sum(trial.state == "lost" for trial in trials),
        "hours_of_trials": round(wall / 3600, 4),
        "training_share": None if math.isnan(share) else round(share, 3),
    }


def facts_line(study: Study) -> str:
    facts = study_facts(study)
    share = f"{facts['training_share']:.0%} of it training" if facts["training_share"] is not None else "no training"
    return (
        f"{facts['trials']} trials in {duration(facts['hours_of_trials'] * 3600)}, {share}; all of them in {study.path}"
    )
