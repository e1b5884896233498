"""`lastbatch shrink`: the smallest setting that still hangs the same way."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from diagnostics.cli.console import BAD_NEWS, OK
from diagnostics.errors import UsageError
from repro import scenarios
from repro.cli.study_command import STILL_OPEN, Answer, Inquiry, Runtime, ScenarioName, Shared, conduct, study_command
from repro.cli.study_words import counted, rate, span, table
from repro.study import rates
from repro.study.cell import Cell
from repro.study.rates import Count
from repro.study.runner import failing
from repro.study.shrinking import Asked, Axis, Judged, Setting, Standing, label, standing, why_not_smaller
from repro.study.store import Trial, counts

DEFAULT_AXES = ("ps", "workers", "inter_op", "intra_op", "variables", "batches", "rows")
"""Settings that make a job smaller, where the scenario has them."""


@study_command
def shrink(
    scenario: ScenarioName,
    axis: Annotated[
        list[str] | None,
        typer.Option(help="A setting to shrink; again for more. By default all sizes.", metavar="NAME"),
    ] = None,
    runtime: Runtime = "tf1.12",
    worth: Annotated[
        float, typer.Option(help="Rate an epoch end below which it is too rare to work with.", min=1e-8, max=0.9)
    ] = 1e-3,
    error: Annotated[float, typer.Option(help="Chance to be wrong about one setting.", min=1e-6, max=0.4)] = 0.05,
    most: Annotated[
        int | None,
        typer.Option(help="Epoch ends after which a setting is given up. By default ten times 1 / --worth.", min=10),
    ] = None,
    *,
    shared: Shared,
) -> int:
    """Find the smallest setting that still hangs the same way, with the rates on the way.

    Ends with 1 if the setting to begin with does not hang often enough.

    Example: lastbatch shrink last-batch --axis ps --axis variables
    """
    base = shared.base_cell(scenario, runtime)
    axes = axes_of(base, axis or DEFAULT_AXES, strict=bool(axis))
    asked = Asked(worth, error, most or round(10 / worth))

    def policy(trials: Sequence[Trial]) -> Cell | None:
        wanted = standing(axes, counts(trials), asked).next
        if wanted is None or failing(trials, label(wanted)):
            return None
        return base.changed(label(wanted), {name: str(value) for name, value in wanted.items()})

    inquiry = Inquiry(
        verb="shrink",
        scenario=base.scenario,
        asked={"base": base, "axes": axes, "asked": asked},
        ready=[base],
        policy=policy,
        summary=lambda trials: _summary(standing(axes, counts(trials), asked)),
        answer=lambda trials, settled: _answer(axes, trials, asked),
    )
    return conduct(inquiry, shared)


def axes_of(base: Cell, names: Sequence[str], strict: bool) -> list[Axis]:
    """The axes with where each begins. A number of threads of 0 is one a core, so it begins there.

    Raises:
        UsageError: not a setting of the scenario that is a number.
    """
    story, settings = scenarios.find(base.scenario), base.resolved
    known = {setting.name: setting for setting in story.settings_with(settings)}
    axes = []
    for name in (name.replace("-", "_") for name in names):
        start = settings.get(name)
        if name not in known or isinstance(start, bool) or not isinstance(start, int):
            if strict:
                raise UsageError(
                    f"{name} is not a setting of {story.name} that can be smaller",
                    f"For example {', '.join(DEFAULT_AXES[:3])}",
                )
            continue
        threads = name.endswith("_op")
        least = max(known[name].least, 1 if threads else 0)
        axes.append(Axis(name, least, start or (os.cpu_count() or 1 if threads else 0)))
    return axes


def _summary(found: Standing) -> str:
    smallest = label(found.best) if found.best else "not known"
    return f"smallest that hangs so far: {smallest}; {len(found.steps)} settings judged"


def _answer(axes: Sequence[Axis], trials: Sequence[Trial], asked: Asked) -> Answer:
    known = counts(trials)
    found = standing(axes, known, asked)
    problem = found.problem or (failing(trials, label(found.next)) if found.next else "")
    over = found.best is not None and found.next is None
    reasons = why_not_smaller(axes, found) if over else {}
    shown: list[RenderableType] = [_table(found, known), ""]
    if over and found.best:
        shown += [Text.assemble((label(found.best), "bold"), " is the smallest.")]
        shown += [f"  {axis.name} {axis.start} -> {found.best[axis.name]}: {reasons[axis.name]}" for axis in axes]
    else:
        shown += [problem or STILL_OPEN]
    document = {
        "smallest": found.best, "started_at": {axis.name: axis.start for axis in axes}, "settled": found.next is None,
        "why_not_smaller": reasons, "problem": problem or None,
        "steps": [_step(setting, judged, known.get(label(setting), Count())) for setting, judged in found.steps],
    }  # fmt: skip
    return Answer(document, shown, OK if found.best else BAD_NEWS)


def _table(found: Standing, known: Mapping[str, Count]) -> Table:
    numbers = ("hangs", "rate", "95 %")
    made = table("Settings on the way", "setting", *numbers, "hangs the same way", right=numbers)
    for setting, judged in found.steps:
        count = known.get(label(setting), Count())
        made.add_row(
            label(setting), counted(count), rate(count.rate), span(rates.running(count)),
            "yes" if judged.hangs else f"no: {judged.why}",
        )  # fmt: skip
    return made


def _step(setting: Setting, judged: Judged, count: Count) -> dict[str, Any]:
    interval = rates.running(count)
    return {
        "settings": setting, "hangs": judged.hangs, "why": judged.why,
        "hits": count.hits, "exposure": count.exposure, "interval": [interval.low, interval.high],
    }  # fmt: skip
