"""`lastbatch scenarios`: what can be reproduced, with which settings."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from diagnostics.cli.console import OK, Json, command, page, print_json
from repro import runtimes, scenarios
from repro.scenario import Scenario


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
        for how in dict.fromkeys(need.how for need in scenario.needs):
            needed = ", ".join(need.what for need in scenario.needs if need.how == how)
            page.print(f"  needs {needed}: {how}\n")
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
        "lookalike": scenario.lookalike,
        "needs": [need.what for need in scenario.needs],
        "model_settings": {model.name: model.settings for model in scenario.models},
        "expected": [
            {"arm": arm.name, "runtime": name, **_expectation(scenario, arm.name, name)}
            for arm in scenario.arms
            for name in scenario.runtimes
        ],
    }


def _expectation(scenario: Scenario, arm: str, runtime: str) -> dict[str, object]:
    expected = scenario.expect(arm, runtimes.parse(runtime).framework_version)
    return {
        "hang": "possible" if expected.either else expected.hang, "cause": expected.cause,
        "culprit": expected.culprit, "why": expected.why,
    }  # fmt: skip
