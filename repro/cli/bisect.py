"""`lastbatch bisect`: the first release without the hang, with stated error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from diagnostics.cli.console import BAD_NEWS, OK
from diagnostics.errors import UsageError
from repro import runtimes
from repro.cli.study_command import STILL_OPEN, Answer, Inquiry, ScenarioName, Shared, conduct, study_command
from repro.cli.study_words import counted, rate, span, table
from repro.cluster.backends import prepare
from repro.cluster.limits import NodeLimits
from repro.runtimes.names import TENSORFLOW_RELEASES, numbers
from repro.study import rates
from repro.study.bisection import Asked, Standing, standing
from repro.study.cell import Cell
from repro.study.rates import Count
from repro.study.runner import failing
from repro.study.store import Trial, counts


@study_command
def bisect(
    scenario: ScenarioName,
    oldest: Annotated[str, typer.Option("--from", help="A release that hangs.", metavar="RUNTIME")] = "tf1.4",
    newest: Annotated[str, typer.Option("--to", help="A later one that does not.", metavar="RUNTIME")] = "tf1.15",
    among: Annotated[
        str | None, typer.Option(help="The releases, oldest first; by default one of each minor.", metavar="R,R,...")
    ] = None,
    error: Annotated[float, typer.Option(help="Chance that the release named is wrong.", min=1e-6, max=0.4)] = 0.05,
    most: Annotated[
        int, typer.Option(help="Epoch ends of the first and last after which it gives up.", min=100)
    ] = 30_000,
    *,
    shared: Shared,
) -> int:
    """Find the first release without the hang, though a release that has it need not show it in one trial.

    Both ends are checked first; then trials go where the answer is most open. Ends with 1 if there is no such release.

    Example: lastbatch bisect last-batch --from tf1.4 --to tf1.15
    """
    releases = parse_among(among) if among else between(oldest, newest)
    base = shared.base_cell(scenario, releases[0])
    cells = {release: base.changed(release, {"runtime": release}) for release in releases}
    asked = Asked(error, most)

    def policy(trials: Sequence[Trial]) -> Cell | None:
        found = _standing(releases, trials, asked)
        if not found.next or failing(trials, found.next):
            return None
        # Only what is tried is built; the line on the terminal is the study's already.
        prepare(cells[found.next].backend, found.next, NodeLimits(), lambda said: None)
        return cells[found.next]

    inquiry = Inquiry(
        verb="bisect",
        scenario=base.scenario,
        asked={"base": base, "releases": releases, "asked": asked},
        ready=[],
        policy=policy,
        summary=lambda trials: _summary(_standing(releases, trials, asked)),
        answer=lambda trials, settled: _answer(releases, trials, asked),
    )
    return conduct(inquiry, shared)


def parse_among(text: str) -> list[str]:
    """Raises: UsageError: fewer than two releases, or unknown ones."""
    names = [name for name in text.split(",") if name]
    if len(names) < 2:
        raise UsageError(
            "there is nothing to search among fewer than two releases", "For example --among tf1.12,tf1.13"
        )
    for name in names:
        runtimes.parse(name)
    return names


def between(oldest: str, newest: str) -> list[str]:
    """One release of each TensorFlow minor between two, both included. Raises: UsageError: they are not in order."""
    first, last = (numbers(runtimes.parse(name).framework_version or "0")[:2] for name in (oldest, newest))
    minors = dict.fromkeys(numbers(release)[:2] for release in TENSORFLOW_RELEASES)
    inside = [f"tf{major}.{minor}" for major, minor in minors if first < (major, minor) < last]
    if first >= last:
        raise UsageError(f"{oldest} is not older than {newest}", "Give the release that hangs with --from")
    return [oldest, *inside, newest]


def _standing(releases: Sequence[str], trials: Sequence[Trial], asked: Asked) -> Standing:
    return standing(releases, counts(trials), asked)


def _summary(found: Standing) -> str:
    if not found.probability:
        return f"checking {found.next or 'the ends'}"
    best = max(found.probability, key=lambda release: found.probability[release])
    return f"first without the hang: {best} with {found.probability[best]:.0%}"


def _answer(releases: Sequence[str], trials: Sequence[Trial], asked: Asked) -> Answer:
    found, known = _standing(releases, trials, asked), counts(trials)
    problem = found.problem or (failing(trials, found.next) if found.next else "")
    shown: list[RenderableType] = [_table(releases, found, known), ""]
    if found.answer:
        share = found.probability[found.answer]
        sure = f" is the first release without the hang ({share:.1%} sure)."
        shown += [Text.assemble((found.answer, "bold"), sure)]
        shown += [f"Without means: rarer than {rate(found.threshold)} epoch ends."]
    else:
        shown += [problem or STILL_OPEN]
    document = {
        "first_without": found.answer or None, "confidence": found.probability.get(found.answer),
        "threshold": found.threshold, "problem": problem or None,
        "releases": [_tried(release, known.get(release, Count()), found) for release in releases],
    }  # fmt: skip
    return Answer(document, shown, OK if found.answer else BAD_NEWS)


def _tried(release: str, count: Count, found: Standing) -> dict[str, Any]:
    interval = rates.running(count)
    return {
        "runtime": release, "hits": count.hits, "exposure": count.exposure,
        "interval": [interval.low, interval.high], "first_without": found.probability.get(release),
    }  # fmt: skip


def _table(releases: Sequence[str], found: Standing, known: dict[str, Count]) -> Table:
    numbers_ = ("hangs", "rate", "95 %", "first without")
    made = table("Releases", "runtime", *numbers_, right=numbers_)
    for release in releases:
        count = known.get(release, Count())
        share = found.probability.get(release)
        made.add_row(
            release, counted(count) if count.exposure else "not tried", rate(count.rate),
            span(rates.running(count)) if count.exposure else "", f"{share:.1%}" if share is not None else "",
        )  # fmt: skip
    return made
