"""`lastbatch compare`: hang rates over axes, with intervals and tests."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.table import Table

from diagnostics.cli.console import OK, page, print_json
from diagnostics.errors import LastbatchError, UsageError
from repro.cli.study_command import (
    Alpha,
    Answer,
    Inquiry,
    Most,
    Runtime,
    ScenarioName,
    Seed,
    Shared,
    conduct,
    make_ready,
    study_command,
)
from repro.cli.study_words import counted, duration, rate, span, table
from repro.study import cell as cells_
from repro.study import comparison
from repro.study.cell import CONTROL, Cell
from repro.study.comparison import Question, Row
from repro.study.engine import LocalEngine
from repro.study.forecast import Forecast, exposure_to_tell_apart, forecast
from repro.study.runner import Pacing, pace_of, training_share
from repro.study.store import Study, Trial
from repro.study.worker import TrialSpec

FORECAST_RATES = (1e-3, 1e-5, 1e-7)
TYPICAL_SHARE = 0.8
"""Part of a trial's time that is training, where no study has measured it yet."""


@study_command
def compare(
    scenario: ScenarioName,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            help="Any setting, arm, runtime, backend, fault or stress; again for more.", metavar="AXIS=LEVEL,..."
        ),
    ] = None,
    design: Annotated[
        str, typer.Option(help="cross: all combinations; each: one change at a time.", metavar="KIND")
    ] = "cross",
    question: Annotated[
        str, typer.Option(help="different (from the baseline), below:RATE or above:RATE an epoch end.", metavar="Q")
    ] = "different",
    runtime: Runtime = "tf1.12",
    alpha: Alpha = 0.01,
    most: Most = 20_000,
    factor: Annotated[float, typer.Option(help="Rates within this factor are called alike.", min=1.1)] = 4.0,
    control: Annotated[bool, typer.Option(help="Run the baseline twice (A/A), as a control.")] = True,
    plan: Annotated[bool, typer.Option("--plan", help="Say what it would take, and do not start.")] = False,
    pace: Annotated[
        float | None, typer.Option(help="Epoch ends a second, for --plan; else measured.", min=1e-6)
    ] = None,
    seed: Seed = 1,
    *,
    shared: Shared,
) -> int:
    """Compare hang rates: trials of all cells in random order, until the question is decided.

    The first level of each axis is the baseline, which all others are compared to. The same command with the same
    --study goes on where it was stopped, by Ctrl-C or kill -9.

    Example: lastbatch compare last-batch --vary ps=4,1 --vary arm=dataset,queue --study first.sqlite
    """
    asked = parse_question(question, alpha, most, factor)
    base = shared.base_cell(scenario, runtime)
    cells = make_cells(base, cells_.parse_axes(vary or ()), design, control and asked.kind == "different")
    if plan:
        measured = pace or _measured_pace(base, shared.study, shared.hang_after)
        return _tell_plan(cells, asked, shared.pacing, measured, _share(shared.study), shared.as_json)
    if not shared.as_json:
        page.print(plan_line(cells, asked, shared.pacing), soft_wrap=True)
    inquiry = Inquiry(
        verb="compare",
        scenario=base.scenario,
        asked={"cells": list(cells.values()), "question": asked, "seed": seed},
        ready=list(cells.values()),
        policy=lambda trials: comparison.next_cell(cells, trials, asked, seed),
        summary=lambda trials: summary(cells, trials, asked),
        answer=lambda trials, settled: answer(comparison.assess(cells, trials, asked), asked, settled),
    )
    return conduct(inquiry, shared)


def parse_question(text: str, alpha: float, most: int, factor: float) -> Question:
    """Raises: UsageError: it is no question."""
    kind, colon, number = text.partition(":")
    if kind == "different" and not colon:
        return Question("different", 0.0, alpha, most, factor)
    try:
        rate = float(number)
    except ValueError:
        rate = math.nan
    if kind in ("below", "above") and 0 < rate < 1:
        return Question(kind, rate, alpha, most, factor)
    raise UsageError(
        f"--question {text!r} is none", "It is different, below:RATE or above:RATE, for example below:1e-4"
    )


def make_cells(base: Cell, axes: Mapping[str, Sequence[str]], design: str, control: bool) -> dict[str, Cell]:
    """Cells by label, the baseline first. Raises: UsageError: a design or level that is not there."""
    if design not in ("cross", "each"):
        raise UsageError(f"no design {design!r}", "There are cross and each")
    cells = cells_.crossed(base, axes) if design == "cross" else cells_.one_by_one(base, axes)
    if control and len(cells) > 1:
        cells.insert(1, cells[0].changed(CONTROL, {}))
    return {cell.label: cell for cell in cells}


def _comparisons(cells: Mapping[str, Cell], asked: Question) -> int:
    return max(1, sum(label != CONTROL for label in cells) - (asked.kind == "different"))


def plan_line(cells: Mapping[str, Cell], asked: Question, pacing: Pacing) -> str:
    """How many trials, and what they can find, before it starts."""
    comparisons = _comparisons(cells, asked)
    telling = exposure_to_tell_apart(1e-3, 0.0, asked.alpha / comparisons) * 1e-3
    return (
        f"{len(cells)} cells, {comparisons} comparisons; trials of {pacing.slice:.0f} s of training in random order, "
        f"at most {asked.most:,} epoch ends a cell: tells a cell that never hangs from one that does in "
        f"{rate(telling / asked.most)} or more"
    )


def summary(cells: Mapping[str, Cell], trials: Sequence[Trial], asked: Question) -> str:
    rows = [row for row in comparison.assess(cells, trials, asked) if row.answer != "baseline" and row.cell != CONTROL]
    undecided = [row for row in rows if row.answer == "open" and not row.stopped]
    left = sum((asked.most - row.count.exposure) / (row.pace or 20.0) for row in undecided) / TYPICAL_SHARE
    hits = sum(row.count.hits for row in comparison.assess(cells, trials, asked))
    return f"{hits} hangs, {len(rows) - len(undecided)} of {len(rows)} settled, at most {duration(left)} left"


def answer(rows: Sequence[Row], asked: Question, settled: bool) -> Answer:
    """A rate is hits, exposure, interval, and what stopped the counting."""
    document = {"question": asked, "settled": settled, "cells": [_row_document(row) for row in rows]}
    shown: list[RenderableType] = [rows_table(rows), ""]
    if not settled:
        shown.append("The time was up before everything was settled; the same command with --study goes on.")
    shown.append(
        "Intervals (95 %) and p hold whatever stopped the counting; p is corrected for the number of comparisons."
    )
    return Answer(document, shown, OK)


def _row_document(row: Row) -> dict[str, Any]:
    finite = row.ratio and [row.ratio.low, None if math.isinf(row.ratio.high) else row.ratio.high]
    return {
        "cell": row.cell, "hits": row.count.hits, "exposure": row.count.exposure,
        "interval": [row.interval.low, row.interval.high], "answer": row.answer,
        "p": row.p if row.p >= 0 else None, "ratio": finite, "stopped": row.stopped or row.answer,
        "other_hangs": row.other, "unknown": row.unknown, "failed": row.failed, "cpu_contention": row.contention,
        "others_cores": row.others, "error_after_ms": row.error_after_ms, "pace": round(row.pace, 2),
    }  # fmt: skip


def rows_table(rows: Sequence[Row]) -> Table:
    numbers = ("hangs", "rate", "95 %", "ratio", "p", "error after", "CPU contention")
    made = table("Hang rates an epoch end", "cell", *numbers, "answer", right=numbers)
    for row in rows:
        notes = [f"{row.other} other hangs"] * bool(row.other) + [f"{row.unknown} unknown"] * bool(row.unknown)
        notes += [f"{row.failed} failed"] * bool(row.failed) + [row.stopped] * bool(row.stopped)
        made.add_row(
            row.cell, counted(row.count), rate(row.count.rate), span(row.interval),
            span(row.ratio) if row.ratio else "", f"{row.p:.1g}" if row.p >= 0 else "",
            f"{row.error_after_ms:.1f} ms" if row.error_after_ms >= 0 else "",
            f"{row.contention:.2f}" if row.contention >= 0 else "",
            row.answer + (f" ({'; '.join(notes)})" if notes else ""),
        )  # fmt: skip
    return made


def _share(study: Path | None) -> float:
    if study and study.exists():
        with Study.read(study) as file:
            share = training_share(file.trials())
            return TYPICAL_SHARE if math.isnan(share) else share
    return TYPICAL_SHARE


def _measured_pace(base: Cell, study: Path | None, hang_after: float) -> float:
    """Of an earlier study of the same cell, or of one short trial."""
    if study and study.exists():
        with Study.read(study) as file:
            trials, known = file.trials(), file.cells()
        for label, cell in known.items():
            if cells_.same(cell, base) and any(trial.cell == label and trial.result for trial in trials):
                return pace_of(trials, label)
    make_ready([base])
    with tempfile.TemporaryDirectory() as home, LocalEngine() as engine:
        engine.start(1, TrialSpec(base, 200, 30.0, f"{home}/trial", hang_after))
        while not (ended := engine.wait(60.0)):
            pass
        result = ended[0][1]
    if isinstance(result, str) or not result.training:
        raise LastbatchError(
            f"the trial that was to measure the pace failed: {getattr(result, 'why', result)}", "Give --pace"
        )
    return max(1, result.epoch_ends) / result.training


def _tell_plan(
    cells: Mapping[str, Cell], asked: Question, pacing: Pacing, pace: float, share: float, as_json: bool
) -> int:
    comparisons = _comparisons(cells, asked)
    alpha = asked.alpha / comparisons
    lines = [forecast(rate, pace, other, share, alpha) for rate in FORECAST_RATES for other in (0.0, rate / 4)]
    most_hours = len(cells) * asked.most / (pace * share * 3600)
    if as_json:
        document = {
            "cells": list(cells), "comparisons": comparisons, "alpha": asked.alpha,
            "pace": pace, "training_share": share, "most_hours": most_hours, "forecast": lines,
        }  # fmt: skip
        print_json(document)
        return OK
    page.print(plan_line(cells, asked, pacing), soft_wrap=True)
    page.print(
        f"{pace:.1f} epoch ends a second, {share:.0%} of the time training: "
        f"at most {duration(most_hours * 3600)}\n"
    )
    page.print(_forecast_table(lines))
    return OK


def _forecast_table(lines: Sequence[Forecast]) -> Table:
    numbers = ("rate", "to see it", "machine time", "epoch ends each", "machine time of both")
    made = table("What a rate takes", *numbers[:3], "to tell it from", *numbers[3:], right=numbers)
    for line in lines:
        made.add_row(
            f"{line.rate:g}", f"{line.to_see:,}", duration(line.to_see_hours * 3600),
            f"{line.other_rate:g}" if line.other_rate else "none",
            f"{line.to_tell_apart:,}", duration(line.to_tell_apart_hours * 3600),
        )  # fmt: skip
    return made
