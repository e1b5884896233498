"""`lastbatch verify`: try a remedy against the same job without it, until it is decided whether it helps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from diagnostics.cli.console import BAD_NEWS, OK, Json, command, page, print_json
from diagnostics.errors import UsageError
from repro.cli import studies
from repro.study import comparison, remedies
from repro.study.cell import Cell
from repro.study.comparison import Question, Row
from repro.study.remedies import Remedy
from repro.study.runner import HANG_AFTER, Pacing
from repro.study.store import Study


@command
def verify(
    scenario: studies.ScenarioName,
    remedy: Annotated[
        list[str] | None, typer.Option(help="Its name; again for more. Without one, they are listed.", metavar="NAME")
    ] = None,
    arm: studies.Arm = None,
    runtime: studies.Runtime = "tf1.12",
    setting: studies.Set = None,
    stress: studies.Stress = None,
    alpha: Annotated[
        float, typer.Option(help="Chance of even one false claim, all together.", min=1e-9, max=0.5)
    ] = 0.01,
    most: Annotated[
        int, typer.Option(help="Epoch ends of a cell after which it stays open.", min=10, metavar="N")
    ] = 20_000,
    seed: Annotated[int, typer.Option(help="Of the random order.")] = 1,
    study: studies.StudyFile = None,
    slice: studies.Slice = 30.0,
    hang_after: studies.HangAfter = HANG_AFTER,
    hours: studies.Hours = 24.0,
    cores: studies.Cores = 0,
    engine: studies.EngineName = "local",
    address: studies.Address = None,
    as_json: Json = False,
) -> int:
    """Try remedies of the cause against the job without them: does the hang become rarer, and by how much at least?

    Ends with 1 if any of them was not shown to help.

    Example: lastbatch verify last-batch --remedy one-inter-op-thread
    """
    base = studies.base_cell(scenario, arm, runtime, setting, stress)
    chosen = [remedies.find(name) for name in dict.fromkeys(remedy or ())]
    if not chosen:
        return _list(as_json)
    cells = make_cells(base, chosen)
    asked, pacing = Question(alpha=alpha, most=most), Pacing(slice, hang_after)
    about = {"verb": "verify", "cells": list(cells.values()), "question": asked, "seed": seed, "pacing": pacing}
    studies.make_ready(list(cells.values()))
    with studies.opened(study or studies.new_path("verify", base.scenario), about, list(cells.values())) as file:
        with studies.engine_for(engine, cores, address) as running:
            decided = studies.carry_out(
                file, lambda trials: comparison.next_cell(cells, trials, asked, seed), running, pacing, hours,
                lambda trials: _summary(comparison.assess(cells, trials, asked)),
            )  # fmt: skip
        rows = comparison.assess(cells, file.trials(), asked)
        _show(file, rows, chosen, decided, as_json)
    return OK if all(row.answer == "lower" for row in rows[1:]) else BAD_NEWS


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
    made = studies.table("Remedies to try", "--remedy", "changes", "what it is")
    for remedy in remedies.REMEDIES:
        made.add_row(remedy.name, " ".join(f"{name}={value}" for name, value in remedy.changes.items()), remedy.line)
    page.print(made)
    return OK


def _summary(rows: Sequence[Row]) -> str:
    return ", ".join(f"{row.cell} {studies.counted(row.count)}" for row in rows)


_MEANING = {
    "lower": "helps", "higher": "makes it worse", "alike": "changes little", "open": "not decided",
}  # fmt: skip


def _show(file: Study, rows: Sequence[Row], chosen: Sequence[Remedy], decided: bool, as_json: bool) -> None:
    if as_json:
        print_json(_document(file, rows, chosen, decided))
        return
    numbers = ("hangs", "rate", "95 %", "ratio", "p")
    made = studies.table("Remedies against the job without them", "", *numbers, "it", right=numbers)
    for row in rows:
        made.add_row(
            row.cell, studies.counted(row.count), studies.rate(row.count.rate), studies.span(row.interval),
            studies.span(row.ratio) if row.ratio else "", f"{row.p:.1g}" if row.p >= 0 else "",
            _MEANING.get(row.answer, "") + (f" ({row.stopped})" if row.stopped else ""),
        )  # fmt: skip
    page.print(made)
    page.print()
    page.print(studies.facts_line(file), soft_wrap=True)


def _document(file: Study, rows: Sequence[Row], chosen: Sequence[Remedy], decided: bool) -> dict[str, Any]:
    """The JSON of `verify`."""
    known: Mapping[str, Row] = {row.cell: row for row in rows}
    baseline = rows[0]
    return {
        "baseline": {"hits": baseline.count.hits, "exposure": baseline.count.exposure},
        "settled": decided,
        "remedies": [
            {
                "name": remedy.name, "line": remedy.line, "means": _MEANING[row.answer], "p": row.p,
                "hits": row.count.hits, "exposure": row.count.exposure,
                "ratio_at_most": row.ratio.high if row.ratio and row.ratio.high < 1e9 else None, "stopped": row.stopped,
            }
            for remedy in chosen
            for row in [known[remedy.name]]
        ],
        **studies.study_facts(file),
    }  # fmt: skip
