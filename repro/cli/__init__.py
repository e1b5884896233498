"""`lastbatch`: run repro scenarios, attach diagnostics to stuck jobs.

A command's module is imported when that command is called: `attach` must be quick while a job stands still, and needs
nothing of what studies and containers need. So the names and the first lines of the helps are written down here.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from diagnostics.cli.console import run_app
from diagnostics.version import release


class Lazy(NamedTuple):
    """A command that is not imported yet: where its function is, and the first paragraph of its docstring."""

    module: str
    function: str
    summary: str


COMMANDS = {
    "doctor": Lazy(
        "repro.cli.doctor",
        "doctor",
        "Say what works on this machine, and what to do about the rest.",
    ),
    "scenarios": Lazy(
        "repro.cli.scenarios",
        "list_scenarios",
        "List the scenarios: their arms, runtimes, settings and what to expect.",
    ),
    "run": Lazy(
        "repro.cli.run",
        "run",
        "Run a scenario on a real framework, catch the hang, say its cause.",
    ),
    "plan": Lazy(
        "repro.cli.plan",
        "plan",
        "Say what a workload needs: parameters, memory of each rank, bytes on the network, with the formulas.",
    ),
    "compare": Lazy(
        "repro.cli.compare",
        "compare",
        "Compare hang rates: trials of all cells in random order, until the question is decided.",
    ),
    "bisect": Lazy(
        "repro.cli.bisect",
        "bisect",
        "Find the first release without the hang, though a release that has it need not show it in one trial.",
    ),
    "shrink": Lazy(
        "repro.cli.shrink",
        "shrink",
        "Find the smallest setting that still hangs the same way, with the rates on the way.",
    ),
    "verify": Lazy(
        "repro.cli.verify",
        "verify",
        "Try remedies of the cause against the job without them: does the hang become rarer, and by how much at least?",
    ),
    "attach": Lazy(
        "diagnostics.cli.attach",
        "attach",
        "Look at a job that is stuck now: evidence of all its processes, a verdict, a bundle.",
    ),
    "watch": Lazy(
        "diagnostics.cli.watch",
        "watch",
        "Wait until a job hangs, then look at it as attach does, while it is still there.",
    ),
    "diagnose": Lazy(
        "diagnostics.cli.diagnose",
        "diagnose",
        "Say what a bundle means, or other tools' dumps and logs, offline.",
    ),
    "report": Lazy(
        "diagnostics.cli.diagnose",
        "report",
        "Turn a bundle into a report: HTML, Markdown, a timeline (Perfetto), stacks (speedscope, flame graphs).",
    ),
    "mcp": Lazy(
        "diagnostics.cli.mcp",
        "mcp",
        "Serve agents: list jobs, attach, diagnose and explain a cause as tools of the Model Context Protocol.",
    ),
    "replay": Lazy(
        "repro.cli.replay",
        "replay",
        "Make something small that hangs as a stuck job did, run it, and compare.",
    ),
    "trace": Lazy(
        "diagnostics.cli.trace",
        "trace",
        "Prove or refute a race in a job that runs: probes on the framework's own functions, in all its processes.",
    ),
}

_STYLE: dict[str, Any] = {
    "context_settings": {"help_option_names": ["-h", "--help"]},
    "pretty_exceptions_enable": False,
    "rich_markup_mode": "markdown",
}


class LazyGroup(TyperGroup):
    """Knows every command by name and summary, and the one that is called whole."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(name) if name in COMMANDS else command, rest


def load(name: str) -> Any:
    """The command of this name, imported."""
    lazy = COMMANDS[name]
    alone = typer.Typer(add_completion=False, **_STYLE)
    alone.command(name)(getattr(import_module(lazy.module), lazy.function))
    return typer.main.get_command(alone)


app = typer.Typer(
    name="lastbatch",
    cls=LazyGroup,
    help="Reproduce training jobs that hang at the end of an epoch, and diagnose any job that is stuck.",
    no_args_is_help=True,
    **_STYLE,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lastbatch {release()}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the release and end.")
    ] = False,
) -> None:
    pass


def _placeholder() -> None:
    """Never called: `LazyGroup` puts the real command in its place."""


for _name, _lazy in COMMANDS.items():
    app.command(_name, help=_lazy.summary)(_placeholder)


def main() -> None:
    run_app(app)
