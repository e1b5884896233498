"""`lastbatch verify`: try a remedy against the same job without it, until it is decided whether it helps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from diagnostics.cli.console import BAD_NEWS, OK, page, print_json
from diagnostics.errors import UsageError
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
    study_command,
)
from repro.cli.study_words import counted, rate, span, table
from repro.study import comparison, remedies
from repro.study.cell import Cell
from repro.study.comparison import Question, Row
from repro.study.remedies import Remedy


@study_command
def verify(
    scenario: ScenarioName,
    remedy: Annotated[
        list[str] | None, typer.Option(help="Its name; again for more. Without one, they are listed.", metavar="NAME")
    ] = None,
    runtime: Runtime = "tf1.12",
    alpha: Alpha = 0.01,
    most: Most = 20_000,
    seed: Seed = 1,
    *,
    shared: Shared,
) -> int:
    """Try remedies of the cause against the job without them: does the hang become rarer, and by how much at least?

    Ends with 1 if any of them was not shown to help.

    Example: lastbatch verify last-batch --remedy one-inter-op-thread
    """
    base = shared.base_cell(scenario, runtime)
    chosen = [remedies.find(name) for name in dict.fromkeys(remedy or ())]
    if not chosen:
        return _list(shared.as_json)
    cells = make_cells(base, chosen)
    asked = Question(alpha=alpha, most=most)
    inquiry = Inquiry(
        verb="verify",
        scenario=base.scenario,
        asked={"cells": list(cells.values()), "question": asked, "seed": seed},
        ready=list(cells.values()),
        policy=lambda trials: comparison.next_cell(cells, trials, asked, seed),
        summary=lambda trials: _summary(comparison.assess(cells, trials, asked)),
        answer=lambda trials, settled: _answer(comparison.assess(cells, trials, asked), chosen, settled),
    )
    return conduct(inquiry, shared)


def make_cells(base: Cell, chosen: Sequence[Remedy]) -> dict[str, Cell]:
    """The baseline with all that the remedies need to mean anything, and a cell for each remedy.

    Raises:
        UsageError: two remedies need different baselines.
    """
    needs: dict[str, str] = {}
    for remedy in chosen:
        for name, value in remedy.needs.items():
            if needs.setdefault(name, value) != value:
                raise UsageError(f"{remedy.name} needs another baseline than the others", "Try it by itself")
    baseline = base.changed("baseline", {**needs, **base.settings})
    cells = [baseline, *(baseline.changed(remedy.name, remedy.changes) for remedy in chosen)]
    return {cell.label: cell for cell in cells}


def _list(as_json: bool) -> int:
    if as_json:
        print_json(
            {
                "remedies": [
                    {"name": r.name, "cause": r.cause, "line": r.line, "changes": dict(r.changes)}
                    for r in remedies.REMEDIES
                ]
            }
        )
        return OK
    made = table("Remedies to try", "--remedy", "changes", "what it is")
    for remedy in remedies.REMEDIES:
        made.add_row(remedy.name, " ".join(f"{name}={value}" for name, value in remedy.changes.items()), remedy.line)
    page.print(made)
    return OK


def _summary(rows: Sequence[Row]) -> str:
    return ", ".join(f"{row.cell} {counted(row.count)}" for row in rows)


_MEANING = {
    "lower": "helps", "higher": "makes it worse", "alike": "changes little", "open": "not decided",
}  # fmt: skip


def _answer(rows: Sequence[Row], chosen: Sequence[Remedy], settled: bool) -> Answer:
    known: Mapping[str, Row] = {row.cell: row for row in rows}
    baseline = rows[0]
    document = {
        "baseline": {"hits": baseline.count.hits, "exposure": baseline.count.exposure},
        "settled": settled,
        "remedies": [_tried(remedy, known[remedy.name]) for remedy in chosen],
    }
    helped = all(row.answer == "lower" for row in rows[1:])
    return Answer(document, [_table(rows), ""], OK if helped else BAD_NEWS)


def _tried(remedy: Remedy, row: Row) -> dict[str, Any]:
    return {
        "name": remedy.name, "line": remedy.line, "means": _MEANING[row.answer], "p": row.p,
        "hits": row.count.hits, "exposure": row.count.exposure,
        "ratio_at_most": row.ratio.high if row.ratio and row.ratio.high < 1e9 else None, "stopped": row.stopped,
    }  # fmt: skip


def _table(rows: Sequence[Row]) -> Table:
    numbers = ("hangs", "rate", "95 %", "ratio", "p")
    made = table("Remedies against the job without them", "", *numbers, "it", right=numbers)
    for row in rows:
        made.add_row(
            row.cell, counted(row.count), rate(row.count.rate), span(row.interval),
            span(row.ratio) if row.ratio else "", f"{row.p:.1g}" if row.p >= 0 else "",
            _MEANING.get(row.answer, "") + (f" ({row.stopped})" if row.stopped else ""),
        )  # fmt: skip
    return made
