"""`lastbatch run`: the arms of a scenario, one after the other, and a table of what came of them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from diagnostics.analyze.progress import Limits, is_server
from diagnostics.cli.console import BAD_NEWS, OK, Json, command, page, print_json, words
from diagnostics.errors import UsageError
from diagnostics.frameworks.tensorflow1 import sets
from diagnostics.report.probes import render_trace_result
from diagnostics.report.terminal import render_diagnosis
from repro import scenarios, workloads
from repro.cli.display import displayed
from repro.cluster.backends import prepare
from repro.cluster.limits import NodeLimits, parse_limits
from repro.faults import schedule
from repro.scenario import Scenario, Settings
from repro.setting import parse_settings
from repro.trial import Outcome, Plan, run_trial


class Place(str, Enum):
    local = "local"
    docker = "docker"


@command
def run(
    scenario: Annotated[str, typer.Argument(help="Its name (lastbatch scenarios).", metavar="SCENARIO")],
    arm: Annotated[list[str] | None, typer.Option(help="Which arm; again for more.", metavar="ARM")] = None,
    runtime: Annotated[
        str | None, typer.Option(help="E.g. tf1.12 tf1.15.5 tf2 torch py3.11; default: the scenario's.")
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="A setting; again for more.", metavar="KEY=VALUE")
    ] = None,
    epoch_ends: Annotated[
        int | None, typer.Option(help="Epochs that each worker trains at most.", min=1, metavar="N")
    ] = None,
    time_limit: Annotated[
        float, typer.Option(help="Seconds of training an arm, anew from each fault.", min=1, metavar="S")
    ] = 120.0,
    hang_after: Annotated[
        float, typer.Option(help="Seconds of silence below which no rank is called hung.", min=0.5)
    ] = 4.0,
    backend: Annotated[Place, typer.Option(help="Processes of this machine, or a container a rank.")] = Place.local,
    limit: Annotated[
        list[str] | None,
        typer.Option(help="Of a container: cpus=0.5, memory=512 (MiB; or plan), cpuset=0; again.", metavar="KEY=VALUE"),
    ] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Probe the framework's functions, to prove the race.")] = False,
    probes: Annotated[str, typer.Option(help="Probe set of --trace (docs/trace.md).", metavar="NAME")] = "rendezvous",
    fault: Annotated[
        list[str] | None,
        typer.Option(help="What goes wrong and when (docs/faults.md); again for more.", metavar="NAME:ARGS"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Directory for logs, bundles and reports.", metavar="DIR")] = None,
    as_json: Json = False,
) -> int:
    """Run a scenario on a real framework, catch the hang, say its cause.

    Without --arm its two main arms run; the second for as many epoch ends as the first came to. Ends with 0 if
    every arm came to what is known of it, a hang included.

    Example: lastbatch run last-batch --runtime tf1.12 --arm dataset --set ps=2
    """
    story = scenarios.find(scenario)
    runtime = runtime or story.default_runtime
    if backend is Place.local:
        story.require()
    given = parse_settings(setting or ())
    if epoch_ends is not None:
        given["epoch_ends"] = str(epoch_ends)
    names = [story.arm(name).name for name in dict.fromkeys(arm or story.default_arms)]
    settings_of = {name: story.resolve(given, name) for name in names}
    probe_set = sets.find(probes).name if trace else ""
    faults = tuple(schedule.parse(written) for written in fault or ())
    for settings in settings_of.values():
        schedule.check(faults, backend.value, story.ranks(settings))
    bounds = parse_limits(limit or ())
    for name, settings in settings_of.items():
        _warn(name, settings, runtime, bounds)
    directory = out or Path("lastbatch-out") / f"{story.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    limits = Limits(floor=hang_after)
    with displayed(runtime) as display:
        place, ready = prepare(backend.value, runtime, bounds, display.stage)
    outcomes: list[Outcome] = []
    for index, (name, settings) in enumerate(settings_of.items()):
        if index and not arm:
            settings = _at_equal_exposure(story, settings, outcomes[0])
        with displayed(name) as display:
            home = _free(directory / name)
            plan = Plan(story, name, ready, settings, time_limit, home, limits, place, probe_set, faults)
            outcome = run_trial(plan, display)
        outcomes.append(outcome)
        _tell(outcome, as_json)
    if as_json:
        print_json(document(story, outcomes))
    else:
        page.print(_table(outcomes))
        page.print(*_where_next(outcomes), sep="\n", soft_wrap=True)
    return OK if all(outcome.as_expected for outcome in outcomes) else BAD_NEWS


def _warn(arm: str, settings: Settings, runtime: str, bounds: NodeLimits) -> None:
    """Of memory that is known not to suffice, before anything is started. Raises: UsageError: there is no plan."""
    by_plan = bounds.memory == "plan"
    if by_plan and not workloads.memory_needed(settings, runtime):
        raise UsageError("--limit memory=plan: nobody has planned what this trains", "For example --limit memory=512")
    for warning in workloads.warnings(settings, runtime, 0 if by_plan else bounds.memory_bytes(0)):
        words.print(Text.assemble((f"{arm}: ", "yellow"), warning), soft_wrap=True)


def _free(directory: Path) -> Path:
    """The directory, or one beside it that is not taken: an earlier run's evidence is never overwritten."""
    candidates = (directory.with_name(f"{directory.name}-{number}") for number in range(2, 10_000))
    return directory if not directory.exists() else next(path for path in candidates if not path.exists())


def _at_equal_exposure(story: Scenario, settings: Settings, first: Outcome) -> Settings:
    trainers = sum(not is_server(rank) for rank in story.ranks(settings))
    return {**settings, "epoch_ends": max(1, math.ceil(first.epoch_ends / trainers))}


def _tell(outcome: Outcome, as_json: bool) -> None:
    console = words if as_json else page
    if outcome.diagnosis and outcome.collection:
        console.print(render_diagnosis(outcome.collection, outcome.diagnosis, verbose=True))
        console.print()
    else:
        console.print(f"{outcome.arm}: {outcome.verdict} after {outcome.epoch_ends} epoch ends: {outcome.why}")
    for rank, counts in outcome.counts.items():
        told = (f"{number} {what.replace('_', ' ')}" for what, number in counts.items())
        console.print(f"  {rank}: " + ", ".join(told))
    if outcome.trace:
        console.print(render_trace_result(outcome.trace))
        console.print()


def _table(outcomes: Sequence[Outcome]) -> Table:
    title = f"What came of it on {outcomes[0].runtime}"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in ("arm", "verdict", "epoch ends", "training", "cause", "as expected"):
        table.add_column(column, justify="right" if column in ("epoch ends", "training") else "left", overflow="fold")
    for outcome in outcomes:
        cause = outcome.finding.cause if outcome.finding else ""
        if outcome.verdict == "hung" and not cause:
            cause = "unknown"
        table.add_row(
            outcome.arm, Text(outcome.verdict, "bold red" if outcome.verdict == "hung" else ""),
            str(outcome.epoch_ends), f"{outcome.seconds:.1f} s", cause, "yes" if outcome.as_expected else "no",
        )  # fmt: skip
    return table


def _where_next(outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield ""
    for outcome in outcomes:
        if not outcome.as_expected:
            hang = "a hang" if outcome.expected.hang else "no hang"
            yield f"Expected of {outcome.arm}: {hang}: {outcome.expected.why}"
        if outcome.report:
            yield f"Report of {outcome.arm}:   {outcome.report}"
            yield f"Evidence of {outcome.arm}: {outcome.bundle}"
            yield f"  noticed {outcome.noticing:.1f} s after the last event, explained {outcome.collecting:.1f} s later"


def document(story: Scenario, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The JSON of `run`."""
    return {
        "scenario": story.name,
        "as_expected": all(outcome.as_expected for outcome in outcomes),
        "arms": [
            {
                "arm": outcome.arm,
                "runtime": outcome.runtime,
                "settings": outcome.settings,
                "verdict": outcome.verdict,
                "why": outcome.why,
                "as_expected": outcome.as_expected,
                "epoch_ends": outcome.epoch_ends,
                "seconds": outcome.seconds,
                "counts": outcome.counts,
                "noticing_seconds": outcome.noticing,
                "collecting_seconds": outcome.collecting,
                "finding": {
                    "cause": outcome.finding.cause,
                    "family": outcome.finding.family,
                    "confidence": outcome.finding.confidence,
                }
                if outcome.finding
                else None,
                "trace": outcome.trace,
                "bundle": str(outcome.bundle) if outcome.bundle else None,
                "report": str(outcome.report) if outcome.report else None,
            }
            for outcome in outcomes
        ],
    }
