"""The state of a watch in Prometheus' text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from diagnostics.model import State
from diagnostics.report.live import Live, LiveRank, Phase
from diagnostics.report.text import sanitize

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[Mapping[str, str], float]


class Metric(NamedTuple):
    name: str
    kind: str
    help: str


WATCH = Metric("lastbatch_watch_state", "gauge", "1 for the phase the watch is in, 0 for the others.")
WATCH_SINCE = Metric("lastbatch_watch_state_since_timestamp_seconds", "gauge", "Unix time since when it is in it.")
RANK = Metric(
    "lastbatch_rank_state",
    "gauge",
    "1 for the state the rank is in, 0 for the others; unknown until a look was needed.",
)
RANK_SINCE = Metric("lastbatch_rank_state_since_timestamp_seconds", "gauge", "Unix time since when it is in it.")
MOVED = Metric(
    "lastbatch_rank_last_moved_timestamp_seconds", "gauge", "Unix time when the rank last used CPU time or moved bytes."
)
CULPRIT = Metric("lastbatch_culprit_confidence", "gauge", "How sure it is that this rank holds the others up, 0 to 1.")
HANGS = Metric("lastbatch_hangs_total", "counter", "Hangs seen since the watch began.")
METRICS = (WATCH, WATCH_SINCE, RANK, RANK_SINCE, MOVED, CULPRIT, HANGS)


def metrics_text(live: Live) -> str:
    """All metrics of a watch. What is not known has no sample."""
    live = sanitize(live)
    host = {"host": live.host}
    samples: dict[Metric, list[Sample]] = {
        WATCH: [({**host, "state": one.value}, float(one is live.phase)) for one in Phase],
        WATCH_SINCE: [(host, live.since)],
        RANK: [
            ({**_labels(one), "state": each.value}, float(each is one.state)) for one in live.ranks for each in State
        ],
        RANK_SINCE: [(_labels(one), one.since) for one in live.ranks if one.since >= 0],
        MOVED: [(_labels(one), one.moved) for one in live.ranks if one.moved >= 0],
        CULPRIT: [({"host": one.host, "rank": one.rank, "pid": str(one.pid)}, one.confidence) for one in live.culprits],
        HANGS: [(host, float(live.hangs))],
    }
    return "".join(_lines(metric, samples[metric]) for metric in METRICS if samples[metric])


def _labels(one: LiveRank) -> dict[str, str]:
    return {"host": one.host, "rank": one.rank, "pid": str(one.pid)}


def _lines(metric: Metric, samples: Iterable[Sample]) -> str:
    # A series that is there twice makes the whole file invalid.
    told = {",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items()): value for labels, value in samples}
    lines = (f"{metric.name}{{{labels}}} {round(value, 3)!r}\n" for labels, value in told.items())
    return f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.kind}\n" + "".join(lines)


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
