"""What the commands of studies share: options, opening the file, choosing where trials run, telling how it goes on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from filelock import FileLock, Timeout
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from diagnostics.cli.console import words
from diagnostics.errors import LastbatchError, MissingError, UsageError
from repro import scenarios
from repro.cli.display import displayed
from repro.cluster.backends import prepare
from repro.cluster.limits import NodeLimits
from repro.setting import parse_settings
from repro.study.cell import Cell, check
from repro.study.engine import Engine, LocalEngine
from repro.study.rates import Count, Interval
from repro.study.runner import Pacing, Policy, run_study, training_share
from repro.study.store import Study, Trial

ScenarioName = Annotated[str, typer.Argument(help="Its name (lastbatch scenarios).", metavar="SCENARIO")]
Arm = Annotated[str | None, typer.Option(help="Which arm; by default the scenario's first.", metavar="ARM")]
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
Slice = Annotated[float, typer.Option(help="Seconds of training a trial.", min=1, metavar="S")]
HangAfter = Annotated[float, typer.Option(help="Seconds of silence below which no rank is called hung.", min=0.5)]
Hours = Annotated[float, typer.Option(help="Stop after so many hours, whatever is still open.", min=0.001, metavar="H")]
Cores = Annotated[int, typer.Option(help="Cores of its own for each trial; 0: all, one trial at a time.", min=0)]
EngineName = Annotated[str, typer.Option(help="Where trials run: local or ray.", metavar="NAME")]
Address = Annotated[
    str | None, typer.Option(help="Ray cluster to use; by default one is started here.", metavar="ADDRESS")
]


def base_cell(
    scenario: str,
    arm: str | None,
    runtime: str,
    settings: Sequence[str] | None,
    stressors: Sequence[str] | None = None,
) -> Cell:
    """What was asked for on the command line, as a cell. Raises: UsageError: something in it does not exist."""
    story = scenarios.find(scenario)
    given = parse_settings(settings or ())
    if "epoch_ends" in given:
        raise UsageError("epoch_ends is for the study to choose", "Say how long a trial trains with --slice")
    cell = Cell("baseline", story.name, arm or story.default_arms[0], runtime, given, tuple(stressors or ()))
    check(cell)
    return cell


def make_ready(cells: Sequence[Cell]) -> None:
    """Build the runtimes and images that are not there yet, telling how it goes.

    Raises: as `repro.cluster.backends.prepare`.
    """
    for backend, runtime in dict.fromkeys((cell.backend, cell.runtime) for cell in cells):
        with displayed(runtime) as display:
            prepare(backend, runtime, NodeLimits(), display.stage)


@contextmanager
def engine_for(name: str, cores: int, address: str | None) -> Iterator[Engine]:
    """Raises: UsageError: no such engine. MissingError: Ray is not installed."""
    if name == "local":
        with LocalEngine(cores) as engine:
            yield engine
    elif name == "ray":
        try:
            from repro.study.ray_engine import RayEngine
        except ImportError:
            raise MissingError("Ray is not installed", "pip install 'lastbatch[ray]'") from None
        with RayEngine(cores, address) as ray_engine:
            yield ray_engine
    else:
        raise UsageError(f"no engine {name!r}", "There are local and ray")


@contextmanager
def opened(path: Path, asked: Mapping[str, Any], cells: Sequence[Cell]) -> Iterator[Study]:
    """The study of this question: a new one, or the one in the file if it asks the same.

    Raises:
        UsageError: the file holds another question.
        LastbatchError: another process runs it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_suffix(".lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise LastbatchError(f"another process runs the study {path}", "Name another file with --study") from None
    with lock:
        asked = msgspec.json.decode(msgspec.json.encode(asked))  # as it will be read back
        if not path.exists():
            with Study.create(path, {"asked": asked}, cells) as study:
                yield study
            return
        with Study.open(path) as study:
            if (before := study.about()["asked"]) != asked:
                differing = sorted(key for key in {*before, *asked} if before.get(key) != asked.get(key))
                raise UsageError(
                    f"{path} holds another study: {', '.join(differing)} differ", "Name another file with --study"
                )
            yield study


def new_path(verb: str, scenario: str) -> Path:
    return Path("lastbatch-out") / f"{verb}-{scenario}-{time.strftime('%Y%m%d-%H%M%S')}.sqlite"


class Teller:
    """Watcher of a study: a line that changes on a terminal; elsewhere a line for each trial that has ended."""

    def __init__(self, summary: Callable[[Sequence[Trial]], str], progress: Progress | None) -> None:
        self._summary, self._progress, self._told = summary, progress, -1
        self._task = progress.add_task("", total=None) if progress else None
        self._line = ""

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


def told(trial: Trial) -> str:
    """A trial that has ended, in one line."""
    result = trial.result
    if result is None:
        return trial.state
    if result.verdict in ("failed", "lost", "unknown"):
        return f"{result.verdict}: {result.why}"
    hung = f" ({result.cause or 'no cause named'})" if result.verdict == "hung" else ""
    return f"{result.verdict}{hung} after {result.epoch_ends} epoch ends, {result.training:.0f} s of training"


def carry_out(
    study: Study,
    policy: Policy,
    engine: Engine,
    pacing: Pacing,
    hours: float,
    summary: Callable[[Sequence[Trial]], str],
) -> bool:
    """Run the study to its end, telling how it goes. False: the hours were up first."""
    seconds = hours * 3600
    if not words.is_terminal:
        return run_study(study, policy, engine, pacing, Teller(summary, None), seconds)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=words, transient=True) as progress:
        return run_study(study, policy, engine, pacing, Teller(summary, progress), seconds)


def table(title: str, *columns: str, right: Sequence[str] = ()) -> Table:
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def rate(value: float) -> str:
    """A rate or ratio for people: `1 in 312`, `none`."""
    if not value or math.isnan(value):
        return "-"
    return f"1 in {1 / value:,.0f}" if value < 0.1 else f"{value:.2g}"


def span(interval: Interval) -> str:
    high = "any" if math.isinf(interval.high) else f"{interval.high:.2g}"
    return f"{interval.low:.2g} to {high}"


def counted(count: Count) -> str:
    return f"{count.hits} in {count.exposure:,}"


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"


def study_facts(study: Study) -> dict[str, Any]:
    """What every study's JSON ends with."""
    trials = study.trials()
    results = [trial.result for trial in trials if trial.result]
    wall = sum(result.wall for result in results)
    share = training_share(trials)
    return {
        "study": str(study.path),
        "trials": len(results),
        "lost": sum(trial.state == "lost" for trial in trials),
        "hours_of_trials": round(wall / 3600, 4),
        "training_share": None if math.isnan(share) else round(share, 3),
    }


def facts_line(study: Study) -> str:
    facts = study_facts(study)
    share = f"{facts['training_share']:.0%} of it training" if facts["training_share"] is not None else "no training"
    return (
        f"{facts['trials']} trials in {duration(facts['hours_of_trials'] * 3600)}, {share}; all of them in {study.path}"
    )
