"""`lastbatch shrink`: the smallest setting that still hangs the same way."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.text import Text

from diagnostics.cli.console import BAD_NEWS, OK, Json, command, page, print_json
from diagnostics.errors import UsageError
from repro import scenarios
from repro.cli import studies
from repro.study import rates
from repro.study.cell import Cell
from repro.study.rates import Count
from repro.study.runner import HANG_AFTER, Pacing, failing
from repro.study.shrinking import Asked, Axis, Standing, label, standing, why_not_smaller
from repro.study.store import Study, Trial, counts

DEFAULT_AXES = ("ps", "workers", "inter_op", "intra_op", "variables", "batches", "rows")
"""Settings that make a job smaller, where the scenario has them."""


@command
def shrink(
    scenario: studies.ScenarioName,
    axis: Annotated[
        list[str] | None,
        typer.Option(help="A setting to shrink; again for more. By default all sizes.", metavar="NAME"),
    ] = None,
    arm: studies.Arm = None,
    runtime: studies.Runtime = "tf1.12",
    setting: studies.Set = None,
    stress: studies.Stress = None,
    worth: Annotated[
        float, typer.Option(help="Rate an epoch end below which it is too rare to work with.", min=1e-8, max=0.9)
    ] = 1e-3,
    error: Annotated[float, typer.Option(help="Chance to be wrong about one setting.", min=1e-6, max=0.4)] = 0.05,
    most: Annotated[
        int | None,
        typer.Option(help="Epoch ends after which a setting is given up. By default ten times 1 / --worth.", min=10),
    ] = None,
    study: studies.StudyFile = None,
    slice: studies.Slice = 30.0,
    hang_after: studies.HangAfter = HANG_AFTER,
    hours: studies.Hours = 24.0,
    cores: studies.Cores = 0,
    engine: studies.EngineName = "local",
    address: studies.Address = None,
    as_json: Json = False,
) -> int:
    """Find the smallest setting that still hangs the same way, with the rates on the way.

    Ends with 1 if the setting to begin with does not hang often enough.

    Example: lastbatch shrink last-batch --axis ps --axis variables
    """
    base = studies.base_cell(scenario, arm, runtime, setting, stress)
    axes = axes_of(base, axis or DEFAULT_AXES, strict=bool(axis))
    asked, pacing = Asked(worth, error, most or round(10 / worth)), Pacing(slice, hang_after)
    about = {"verb": "shrink", "base": base, "axes": axes, "asked": asked, "pacing": pacing}

    def policy(trials: Sequence[Trial]) -> Cell | None:
        wanted = standing(axes, counts(trials), asked).next
        if wanted is None or failing(trials, label(wanted)):
            return None
        return base.changed(label(wanted), {name: str(value) for name, value in wanted.items()})

    studies.make_ready([base])
    with studies.opened(study or studies.new_path("shrink", base.scenario), about, []) as file:
        with studies.engine_for(engine, cores, address) as running:
            studies.carry_out(
                file, policy, running, pacing, hours, lambda trials: _summary(standing(axes, counts(trials), asked))
            )
        trials = file.trials()
        found = standing(axes, counts(trials), asked)
        failed = failing(trials, label(found.next)) if found.next else ""
        _show(file, axes, found, counts(trials), failed, as_json)
    return OK if found.best else BAD_NEWS


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


def _show(
    file: Study, axes: Sequence[Axis], found: Standing, known: Mapping[str, Count], failed: str, as_json: bool
) -> None:
    over = found.best is not None and found.next is None
    reasons = why_not_smaller(axes, found) if over else {}
    if as_json:
        print_json(_document(file, axes, found, known, reasons, failed))
        return
    numbers = ("hangs", "rate", "95 %")
    made = studies.table("Settings on the way", "setting", *numbers, "hangs the same way", right=numbers)
    for setting, judged in found.steps:
        count = known.get(label(setting), Count())
        made.add_row(
            label(setting), studies.counted(count), studies.rate(count.rate), studies.span(rates.running(count)),
            "yes" if judged.hangs else f"no: {judged.why}",
        )  # fmt: skip
    page.print(made)
    page.print()
    if over and found.best:
        page.print(Text.assemble((label(found.best), "bold"), " is the smallest."))
        for axis in axes:
            page.print(f"  {axis.name} {axis.start} -> {found.best[axis.name]}: {reasons[axis.name]}", markup=False)
    else:
        page.print(found.problem or failed or "It is still open; the same command with --study goes on.", markup=False)
    page.print(studies.facts_line(file), soft_wrap=True)


def _document(
    file: Study,
    axes: Sequence[Axis],
    found: Standing,
    known: Mapping[str, Count],
    reasons: Mapping[str, str],
    failed: str,
) -> dict[str, Any]:
    """The JSON of `shrink`."""
    steps = [
        {
            "settings": setting, "hangs": judged.hangs, "why": judged.why,
            "hits": count.hits, "exposure": count.exposure, "interval": [interval.low, interval.high],
        }
        for setting, judged in found.steps
        for count in [known.get(label(setting), Count())]
        for interval in [rates.running(count)]
    ]  # fmt: skip
    return {
        "smallest": found.best, "started_at": {axis.name: axis.start for axis in axes}, "settled": found.next is None,
        "why_not_smaller": reasons, "problem": found.problem or failed or None, "steps": steps,
        **studies.study_facts(file),
    }  # fmt: skip
