"""`lastbatch`: run repro scenarios, attach diagnostics to stuck jobs."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from diagnostics.cli import diagnose as looking
from diagnostics.cli.attach import attach
from diagnostics.cli.console import LACKING, OK, Json, command, page, print_json, run_app
from diagnostics.cli.trace import trace
from diagnostics.cli.watch import watch
from diagnostics.report.text import size
from diagnostics.version import __version__
from repro import doctor as checkup
from repro import runtimes, scenarios
from repro.bisect import bisect
from repro.compare import compare
from repro.plan import plan
from repro.run import run
from repro.scenario import Scenario
from repro.shrink import shrink
from repro.verify import verify

app = typer.Typer(
    name="lastbatch",
    help="Reproduce training jobs that hang at the end of an epoch, and diagnose any job that is stuck.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lastbatch {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the release and end.")
    ] = False,
) -> None:
    pass


@command
def doctor(as_json: Json = False) -> int:
    """Say what works on this machine, and what to do about the rest.

    Ends with 3 where something is missing that every command needs.

    Example: lastbatch doctor
    """
    states = runtimes.available()
    checks = checkup.checks(states)
    lacking = any(check.needed and not check.ok for check in checks)
    if as_json:
        print_json({"checks": checks, "runtimes": states})
        return LACKING if lacking else OK
    table = Table(box=None, pad_edge=False, title="This machine", title_justify="left", title_style="bold")
    for column in ("", "what", "found", "what to do"):
        table.add_column(column, overflow="fold")
    for check in checks:
        mark = Text("ok", "green") if check.ok else Text("no", "red" if check.needed else "yellow")
        table.add_row(mark, check.name, Text(check.found), Text("" if check.ok else check.what_to_do))
    page.print(table)
    page.print()
    table = Table(box=None, pad_edge=False, title="Runtimes", title_justify="left", title_style="bold")
    for column in ("name", "release", "interpreter", "state", "size", "what to do"):
        table.add_column(column, overflow="fold")
    for state in states:
        table.add_row(
            state.name, state.release, state.python_version, state.state,
            size(state.size) if state.size else "", Text(state.what_to_do),
        )  # fmt: skip
    page.print(table)
    return LACKING if lacking else OK


@command
def list_scenarios(
    name: Annotated[
        str | None, typer.Argument(help="One scenario, with all its settings.", metavar="[SCENARIO]")
    ] = None,
    as_json: Json = False,
) -> int:
    """List the scenarios: their arms, runtimes, settings and what to expect.

    Example: lastbatch scenarios last-batch
    """
    chosen = [scenarios.find(name)] if name else list(scenarios.load().values())
    if as_json:
        print_json({"scenarios": [_described(scenario) for scenario in chosen]})
        return OK
    if not name:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for column in ("scenario", "what it shows", "arms"):
            table.add_column(column, overflow="fold")
        for scenario in chosen:
            table.add_row(Text(scenario.name, "bold"), scenario.summary, ", ".join(arm.name for arm in scenario.arms))
        page.print(table)
        page.print("\nlastbatch scenarios NAME shows one with all its settings.")
        return OK
    for scenario in chosen:
        page.print(Text.assemble((scenario.name, "bold"), f"  {scenario.summary}"))
        page.print(f"  {scenario.story}\n", style="dim")
        table = Table(box=None, pad_edge=False, show_header=True, padding=(0, 2, 0, 0))
        table.add_column("  arm")
        table.add_column("what it is")
        for arm in scenario.arms:
            table.add_row(f"  {arm.name}", arm.summary)
        page.print(table)
        page.print(f"\n  runtimes: {', '.join(scenario.runtimes)} (or any exact release)\n")
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("  --set")
        table.add_column("default")
        table.add_column("what it is")
        for setting in scenario.settings:
            table.add_row(f"  {setting.name}", str(setting.default).lower(), setting.told)
        for model in scenario.models:
            table.add_section()
            table.add_row(f"  model={model.name}", "", model.summary)
            for setting in model.settings:
                table.add_row(f"    {setting.name}", str(setting.default).lower(), setting.told)
        page.print(table)
    return OK


def _described(scenario: Scenario) -> dict[str, object]:
    return {
        "name": scenario.name,
        "summary": scenario.summary,
        "arms": scenario.arms,
        "default_arms": scenario.default_arms,
        "runtimes": scenario.runtimes,
        "settings": scenario.settings,
        "model_settings": {model.name: model.settings for model in scenario.models},
        "expected": [
            {"arm": arm.name, "runtime": name, **_expectation(scenario, arm.name, name)}
            for arm in scenario.arms
            for name in scenario.runtimes
        ],
    }


def _expectation(scenario: Scenario, arm: str, runtime: str) -> dict[str, object]:
    release = tuple(int(part) for part in runtimes.parse(runtime).framework_version.split(".") if part)
    expected = scenario.expected(arm, release, scenario.resolve({}, arm))
    return {"hang": "possible" if expected.either else expected.hang, "cause": expected.cause, "why": expected.why}


app.command("doctor")(doctor)
app.command("scenarios")(list_scenarios)
app.command("run")(run)
app.command("plan")(plan)
app.command("compare")(compare)
app.command("bisect")(bisect)
app.command("shrink")(shrink)
app.command("verify")(verify)
app.command("attach")(attach)
app.command("watch")(watch)
app.command("diagnose")(looking.diagnose)
app.command("report")(looking.report)
app.command("trace")(trace)


def main() -> None:
    run_app(app)
