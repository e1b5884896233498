"""What the study commands share: a command says what it asks, and here it is run, resumed, stopped, told.

A command makes an `Inquiry`, pure functions of the trials so far, and leaves the rest to `conduct`: runtimes, the file
that a study goes on with, the engine, progress, Ctrl-C, JSON.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_type_hints

import typer
from rich.console import RenderableType
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from diagnostics.cli.console import Json, command, page, print_json, words
from diagnostics.errors import UsageError
from repro import scenarios
from repro.cli.display import displayed
from repro.cli.study_words import facts_line, study_facts, told
from repro.cluster.backends import prepare
from repro.cluster.limits import NodeLimits
from repro.setting import parse_settings
from repro.study.cell import Cell, check
from repro.study.engine import Engine
from repro.study.engines import engine_for
from repro.study.resume import opened
from repro.study.runner import HANG_AFTER, Pacing, Policy, run_study
from repro.study.store import Study, Trial

ScenarioName = Annotated[str, typer.Argument(help="Its name (lastbatch scenarios).", metavar="SCENARIO")]
Runtime = Annotated[str, typer.Option(help="Framework release, e.g. tf1.12 tf1.15.5 tf2.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="A setting; again for more.", metavar="KEY=VALUE")]
Stress = Annotated[
    list[str] | None, typer.Option(help="burn:N, cores:N or freeze:ON/EVERY; again for more.", metavar="NAME")
]
StudyFile = Annotated[
    Path | None,
    typer.Option(
        "--study", help="SQLite file with all results; the same command goes on where it stopped.", metavar="FILE"
    ),
]
Hours = Annotated[float, typer.Option(help="Stop after so many hours, whatever is still open.", min=0.001, metavar="H")]
Cores = Annotated[int, typer.Option(help="Cores of its own for each trial; 0: all, one trial at a time.", min=0)]
Address = Annotated[
    str | None, typer.Option(help="Ray cluster to use; by default one is started here.", metavar="ADDRESS")
]
Alpha = Annotated[float, typer.Option(help="Chance of even one false claim, all together.", min=1e-9, max=0.5)]
Most = Annotated[int, typer.Option(help="Epoch ends of a cell after which it stays open.", min=10, metavar="N")]
Seed = Annotated[int, typer.Option(help="Of the random order.")]
STILL_OPEN = "It is still open; the same command with --study goes on."


class Shared(NamedTuple):
    """The options of every study command."""

    arm: Annotated[str | None, typer.Option(help="Which arm; by default the scenario's first.", metavar="ARM")] = None
    setting: Set = None
    stress: Stress = None
    study: StudyFile = None
    slice: Annotated[float, typer.Option(help="Seconds of training a trial.", min=1, metavar="S")] = 30.0
    hang_after: Annotated[
        float, typer.Option(help="Seconds of silence below which no rank is called hung.", min=0.5)
    ] = HANG_AFTER
    hours: Hours = 24.0
    cores: Cores = 0
    engine: Annotated[str, typer.Option(help="Where trials run: local or ray.", metavar="NAME")] = "local"
    address: Address = None
    as_json: Json = False

    @property
    def pacing(self) -> Pacing:
        return Pacing(self.slice, self.hang_after)

    def base_cell(self, scenario: str, runtime: str) -> Cell:
        """What was asked for on the command line, as a cell. Raises: UsageError: something in it does not exist."""
        story = scenarios.find(scenario)
        given = parse_settings(self.setting or ())
        if "epoch_ends" in given:
            raise UsageError("epoch_ends is for the study to choose", "Say how long a trial trains with --slice")
        arm = self.arm or story.default_arms[0]
        cell = Cell("baseline", story.name, arm, runtime, given, tuple(self.stress or ()))
        check(cell)
        return cell


def study_command(function: Callable[..., int]) -> Callable[..., None]:
    """A command whose options are its own and the shared ones, which it gets as one value, `shared`."""
    own = [one for one in inspect.signature(function, eval_str=True).parameters.values() if one.name != "shared"]
    hints = get_type_hints(Shared, include_extras=True)
    common = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[name])
        for name, default in Shared._field_defaults.items()
    ]
    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*own, *common)]

    @wraps(function)
    def flat(**given: Any) -> int:
        shared = Shared(**{name: given.pop(name) for name in Shared._fields})
        return function(shared=shared, **given)

    flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    flat.__annotations__ = {one.name: one.annotation for one in parameters}
    return command(flat)


class Answer(NamedTuple):
    """What a study came to: its JSON, the same for people, and the exit code."""

    document: Mapping[str, Any]
    shown: Sequence[RenderableType]
    code: int


class Inquiry(NamedTuple):
    """What a command asks.

    `asked` is what makes it the same question when it is asked again; `ready` are cells whose runtimes and images are
    needed at once; `summary` is a line while it runs; `answer` takes all trials, and whether the policy wants no more.
    """

    verb: str
    scenario: str
    asked: Mapping[str, Any]
    ready: Sequence[Cell]
    policy: Policy
    summary: Callable[[Sequence[Trial]], str]
    answer: Callable[[Sequence[Trial], bool], Answer]


def conduct(inquiry: Inquiry, shared: Shared) -> int:
    """Run the study to its end, or to Ctrl-C; tell what came of it; how the command ends."""
    path = shared.study or _new_path(inquiry)
    make_ready(inquiry.ready)
    with opened(path, {"verb": inquiry.verb, **inquiry.asked, "pacing": shared.pacing}) as study:
        try:
            with engine_for(shared.engine, shared.cores, shared.address) as engine:
                settled = _carry_out(study, inquiry, engine, shared)
        except KeyboardInterrupt:
            words.print(f"stopped; the same command with --study {path} goes on", soft_wrap=True)
            raise
        answer = inquiry.answer(study.trials(), settled)
        if shared.as_json:
            print_json({**answer.document, **study_facts(study)})
            return answer.code
        for part in answer.shown:
            page.print(part, soft_wrap=isinstance(part, str))
        page.print(facts_line(study), soft_wrap=True)
    return answer.code


def _new_path(inquiry: Inquiry) -> Path:
    return Path("lastbatch-out") / f"{inquiry.verb}-{inquiry.scenario}-{time.strftime('%Y%m%d-%H%M%S')}.sqlite"


def make_ready(cells: Sequence[Cell]) -> None:
    """Build the runtimes and images that are not there yet, telling how it goes.

    Raises: as `repro.cluster.backends.prepare`.
    """
    for backend, runtime in dict.fromkeys((cell.backend, cell.runtime) for cell in cells):
        with displayed(runtime) as display:
            prepare(backend, runtime, NodeLimits(), display.stage)


def _carry_out(study: Study, inquiry: Inquiry, engine: Engine, shared: Shared) -> bool:
    """False: the hours were up first."""
    seconds = shared.hours * 3600
    if not words.is_terminal:
        watcher = Teller(inquiry.summary, None)
        return run_study(study, inquiry.policy, engine, shared.pacing, watcher, seconds)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=words, transient=True) as progress:
        watcher = Teller(inquiry.summary, progress)
        return run_study(study, inquiry.policy, engine, shared.pacing, watcher, seconds)


class Teller:
    """Watcher of a study: a line that changes on a terminal; elsewhere a line for each trial that has ended."""

    def __init__(self, summary: Callable[[Sequence[Trial]], str], progress: Progress | None) -> None:
        self._summary, self._progress, self._told = summary, progress, -1
        self._task = progress.add_task("", total=None) if progress else None

    def __call__(self, trials: Sequence[Trial], running: int) -> None:
        ended = [trial for trial in trials if trial.state != "running"]
        if self._told == len(ended):
            return
        new, self._told = ended[max(0, self._told) :] if self._told >= 0 else [], len(ended)
        line = f"{len(ended)} trials, {running} running; {self._summary(trials)}"
        if self._progress and self._task is not None:
            self._progress.update(self._task, description=line)
            return
        for trial in new:
            words.print(f"{trial.number} {trial.cell}: {told(trial)}", markup=False, soft_wrap=True)
        words.print(line, markup=False, soft_wrap=True)
