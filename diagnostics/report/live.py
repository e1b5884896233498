"""What is known of a job while it is watched: one value, as metrics and as a page."""

from __future__ import annotations

from enum import Enum

from diagnostics.model import Collection, Culprit, Diagnosis, Record, State
from diagnostics.report.text import sanitize
from diagnostics.report.verdict import culprit_name, culprit_words


class Phase(str, Enum):
    """How far the watch has come: not a verdict, which only a look at the stacks gives."""

    WATCHING = "watching"
    QUIET = "quiet"  # nothing moves, for too short a time to be called a hang
    HUNG = "hung"
    RANK_ENDED = "rank-ended"
    ENDED = "ended"


class LiveRank(Record, frozen=True):
    """A rank; times are seconds since the epoch, -1 where they are not known.

    `state` is `unknown` until a look was needed: that a process uses CPU time does not say that it gets on.
    """

    rank: str
    pid: int
    host: str
    state: State = State.UNKNOWN
    since: float = -1.0
    moved: float = -1.0


class Live(Record, frozen=True):
    """The watch of one job on one host. `since`: of the phase, seconds since the epoch; `hangs`: seen so far."""

    host: str
    phase: Phase
    since: float
    ranks: tuple[LiveRank, ...] = ()
    culprits: tuple[Culprit, ...] = ()
    summary: str = ""
    hangs: int = 0


def ranks_of(collection: Collection) -> tuple[LiveRank, ...]:
    """What a look at the job told of each rank."""
    end = collection.collected_at + collection.seconds
    return tuple(
        LiveRank(one.rank, one.pid, one.host, one.state, end - one.since if one.since >= 0 else -1.0)
        for one in collection.processes
    )


def after_look(live: Live, phase: Phase, collection: Collection, diagnosis: Diagnosis) -> Live:
    """The watch after a look at the job, with its verdict."""
    return Live(
        live.host, phase, live.since, ranks_of(collection), diagnosis.culprits, diagnosis.summary,
        live.hangs + (phase is Phase.HUNG),
    )  # fmt: skip


SECONDS = 5
"""After which the page asks again."""


def render_live(live: Live, has_report: bool) -> str:
    """A page that loads itself again, with a link to the report of the last look."""
    from diagnostics.report.html import environment, policy_of, style_sheet  # jinja2, for the page alone

    live = sanitize(live)
    style = style_sheet()
    page: str = (
        environment()
        .get_template("live.html")
        .render(
            live=live,
            seconds=SECONDS,
            culprits=[(culprit_name(one), culprit_words(one)) for one in live.culprits],
            has_report=has_report,
            style=style,
            policy=policy_of(style, ""),
        )
    )
    return page
