"""What tracing costs, whether it hides the race, what it proves, and how often the race's windows are hit.

    python bench/trace.py overhead --runtime tf1.15 --pairs 10 --seconds 10   # steps a second, with probes and without
    python bench/trace.py hangs --runtime tf1.12 --hangs 20 --burst 600       # hang rates, with and without; verdicts
    python bench/trace.py windows --runtime tf1.15 --arm queue-closed --set input_on_ps=true --trials 20   # near misses

Needs root and bpftrace. `hangs` and `windows` run whole trials and write each into --log as it ends; called again they
go on from there, and start none after --burst seconds. All but `overhead` want a machine on which nothing else runs.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
import psutil
from scipy import stats

from diagnostics.errors import LastbatchError
from diagnostics.frameworks.tensorflow1 import session, sets
from diagnostics.transport import flight
from repro import scenarios
from repro.cluster import Cluster
from repro.cluster.local import local_cluster
from repro.runtimes import ensure
from repro.setting import parse_settings
from repro.study import rates
from repro.trial import Outcome, Plan, recorder_of, run_trial, wait_until_ready

FOREVER = "1000000"
WARM, WARMING = 20, 60.0
"""Steps before anything is measured, and the seconds that they may take."""
STUCK = 2.0
"""Seconds without an event after which a window is thrown away: the job hangs."""


class Quiet:
    """Observer that says nothing."""

    def stage(self, words: str) -> None: ...

    def progress(self, epoch_ends: int, target: int, seconds: float) -> None: ...


def plan_of(options: argparse.Namespace, home: str, probes: str) -> Plan:
    story = scenarios.find("last-batch")
    settings = story.resolve({"epoch_ends": FOREVER, **parse_settings(options.set)}, options.arm)
    return Plan(
        scenario=story, arm=options.arm, runtime=ensure(options.runtime), settings=settings,
        time_limit=options.seconds, directory=Path(home) / "trial", probes=probes,
    )  # fmt: skip


# --- overhead: windows with and without probes take turns within one job, so that both see the same machine


class Pace(msgspec.Struct, frozen=True):
    """`cpu` is in seconds a step, of all processes of the job and of the trace."""

    steps: float  # a second
    cpu: float
    events: Mapping[str, float] = {}  # a step, that were remembered or told


def overhead(options: argparse.Namespace) -> dict[str, Any]:
    pairs: list[tuple[Pace, Pace]] = []
    while len(pairs) < options.pairs:
        pairs += _pairs_of_a_job(options, len(pairs))
        print(f"{len(pairs)} of {options.pairs} pairs", file=sys.stderr)
    return {
        "runtime": options.runtime, "arm": options.arm, "probes": options.probes, "window_seconds": options.seconds,
        "set": options.set, "steps_a_second": _ratio([(bare.steps, probed.steps) for bare, probed in pairs]),
        "cpu_seconds_a_step": _ratio([(bare.cpu, probed.cpu) for bare, probed in pairs]),
        "events_a_step": {
            kind: round(statistics.mean(probed.events.get(kind, 0.0) for _, probed in pairs), 1)
            for kind in sorted({kind for _, probed in pairs for kind in probed.events})
        },
    }  # fmt: skip


def _pairs_of_a_job(options: argparse.Namespace, had: int) -> list[tuple[Pace, Pace]]:
    """As many as are still wanted, or fewer where the job hangs first."""
    found: list[tuple[Pace, Pace]] = []
    with tempfile.TemporaryDirectory() as home:
        plan, probe_set = plan_of(options, home, options.probes), sets.find(options.probes)
        chosen = session.plan(probe_set, session.library_of(plan.runtime.python, probe_set))
        plan.directory.mkdir()
        with local_cluster(plan.runtime, plan.specs(), plan.directory) as cluster:
            wait_until_ready(cluster)
            if not _warmed_up(cluster):
                return []
            while had + len(found) < options.pairs:
                order = (None, chosen) if (had + len(found)) % 2 else (chosen, None)
                paces = {bool(probes): _pace(cluster, options.seconds, probes) for probes in order}
                bare, probed = paces[False], paces[True]
                if not bare or not probed:
                    break
                found.append((bare, probed))
    return found


def _warmed_up(cluster: Cluster) -> bool:
    """Whether it comes to train at all, and does not hang at once. The first steps build graphs."""
    deadline = time.monotonic() + WARMING
    while _mark(cluster)[1] < WARM and time.monotonic() < deadline:
        time.sleep(0.2)
    return time.monotonic() < deadline


def _pace(cluster: Cluster, seconds: float, probes: session.Plan | None) -> Pace | None:
    """None where the job does not go on."""
    ranks = {member.pid: member.rank for member in cluster.members}
    with session.tracing(probes, ranks) if probes else nullcontext() as trace:
        if trace:
            trace.wait_until_attached()
        began, before = _mark(cluster), _cpu()
        time.sleep(seconds)
        ended, after, now = _mark(cluster), _cpu(), time.monotonic()
        counts = trace.finish().counts if trace else ()
    steps = ended[1] - began[1]
    if now - ended[0] > STUCK or steps < 2:
        return None
    events = {count.what: count.number / steps for count in counts}
    return Pace(steps / (ended[0] - began[0]), (after - before) / steps, events)


def _mark(cluster: Cluster) -> tuple[float, int]:
    """When the worker's last event was, and how many steps it had made."""
    worker = next(member for member in cluster.members if member.rank == "worker:0")
    recording = flight.load(recorder_of(worker), tail=1)
    return (recording.events[-1].at, recording.steps) if recording and recording.events else (0.0, 0)


def _cpu() -> float:
    """Of this process and all that it has started."""
    me = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (me, *me.children(recursive=True)))


def _ratio(pairs: list[tuple[float, float]]) -> dict[str, Any]:
    """The geometric mean of with over without, and its interval of 95 % (Student's, on logarithms)."""
    logs = [math.log(probed / bare) for bare, probed in pairs]
    middle = sum(logs) / len(logs)
    spread = stats.sem(logs) * stats.t.ppf(0.975, len(logs) - 1) if len(logs) > 1 else math.nan
    return {
        "pairs": len(pairs), "ratio": round(math.exp(middle), 4),
        "interval": [round(math.exp(middle - spread), 4), round(math.exp(middle + spread), 4)],
        "without": [round(bare, 4) for bare, _ in pairs], "with": [round(probed, 4) for _, probed in pairs],
    }  # fmt: skip


# --- whole trials, kept in a log


def trials(options: argparse.Namespace, log: Path, choices: tuple[str, ...]) -> Iterator[list[dict[str, Any]]]:
    """The log's trials of these options; again after each one more, with the next of the probe sets in turn."""
    began = time.monotonic()
    key = {name: getattr(options, name) for name in ("what", "runtime", "arm", "set", "seconds")}
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    rows = [row for row in rows if {name: row.get(name) for name in key} == key and row["probes"] in choices]
    while True:
        yield rows
        if time.monotonic() - began > options.burst:
            return
        made = Counter(row["probes"] for row in rows)
        # Whoever has had fewer; the pairs begin with one and the other in turn.
        first = choices[min(made[name] for name in choices) % len(choices)]
        probes = min(choices, key=lambda name: (made[name], name != first))
        with tempfile.TemporaryDirectory() as home:
            outcome = run_trial(plan_of(options, home, probes), Quiet())
        rows.append({**key, "probes": probes, **summary(outcome)})
        with log.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")
        print(f"{probes or 'bare'}: {outcome.verdict} after {outcome.epoch_ends} epoch ends", file=sys.stderr)


def summary(outcome: Outcome) -> dict[str, Any]:
    trace = outcome.trace
    said: dict[str, Any] = {
        "verdict": outcome.verdict, "epoch_ends": outcome.epoch_ends, "trained": outcome.seconds,
        "cause": outcome.finding.cause if outcome.finding else "",
    }  # fmt: skip
    if trace:
        stuck = [call for call in trace.escaped if not call.came_back]
        said["trace"] = {
            "verdict": trace.verdict.value, "why": trace.why, "lost": trace.lost, "did_not_run": trace.did_not_run,
            "windows": [call.window for call in stuck],
            # The first is the proof; of the others, which hold nobody, the sender may be known no more.
            "named": bool(stuck) and bool(stuck[0].call and stuck[0].thread and stuck[0].aborted_by),
            "counts": {count.what: count.number for count in trace.counts},
            "escaped": {count.what: count.number for count in trace.escaped_total},
            "gaps_us": {count.what: count.number for count in trace.gaps},
            "nearest_us": [miss.microseconds for miss in trace.near_misses],
        }  # fmt: skip
    return said


def hangs(options: argparse.Namespace) -> dict[str, Any]:
    """Hang rates with and without probes, each counted until it has so many hangs."""
    choices = ("", options.probes)
    for rows in trials(options, options.log, choices):
        arms = [_until([row for row in rows if row["probes"] == probes], options.hangs) for probes in choices]
        counts = [
            rates.Count(sum(row["verdict"] == "hung" for row in arm), sum(row["epoch_ends"] for row in arm))
            for arm in arms
        ]
        if all(count.hits >= options.hangs for count in counts):
            break
    hung = [row["trace"] for row in arms[1] if row["verdict"] == "hung"]
    return {
        "runtime": options.runtime, "arm": options.arm, "set": options.set, "probes": options.probes,
        "log": str(options.log),
        "complete": all(count.hits >= options.hangs for count in counts),
        "without": _rate(counts[0]), "with": _rate(counts[1]), "p": _same_rate(*counts),
        "proven": sum(trace["verdict"] == "proven" and trace["named"] for trace in hung), "of": len(hung),
        "windows": dict(Counter(window for trace in hung for window in trace["windows"])),
        "not_proven": [trace["why"] for trace in hung if trace["verdict"] != "proven"],
    }  # fmt: skip


def _until(rows: list[dict[str, Any]], hits: int) -> list[dict[str, Any]]:
    """The trials up to the last hang that is wanted: what stopped the counting."""
    ends = [number for number, row in enumerate(rows, 1) if row["verdict"] == "hung"]
    return rows[: ends[hits - 1]] if len(ends) >= hits else rows


def _rate(count: rates.Count) -> dict[str, Any]:
    low, high = msgspec.structs.astuple(rates.running(count))
    return {
        "hangs": count.hits, "epoch_ends": count.exposure, "rate": count.hits / max(1, count.exposure),
        "interval": [low, high],
    }  # fmt: skip


def _same_rate(one: rates.Count, other: rates.Count) -> float | None:
    """Two-sided: the exposure that a fixed number of rare hits takes is gamma distributed, so the ratio of two is F."""
    if not one.hits or not other.hits:
        return None
    ratio = stats.f(2 * one.hits, 2 * other.hits)
    at = one.exposure / one.hits / (other.exposure / other.hits)
    return round(float(2 * min(ratio.cdf(at), ratio.sf(at))), 4)


def windows(options: argparse.Namespace) -> dict[str, Any]:
    """How often the windows are hit, how wide they are, and how often that hangs."""
    for rows in trials(options, options.log, (options.probes,)):
        if len(rows) >= options.trials:
            break
    traces = [row["trace"] for row in rows]
    count = rates.Count(sum(row["verdict"] == "hung" for row in rows), sum(row["epoch_ends"] for row in rows))
    return {
        "runtime": options.runtime, "arm": options.arm, "set": options.set, "probes": options.probes,
        "log": str(options.log),
        "trials": len(rows), "trained_seconds": round(sum(row["trained"] for row in rows)), "hangs": _rate(count),
        "proven": [trace["why"] for trace in traces if trace["verdict"] == "proven"],
        **{name: dict(sum((Counter(trace[name]) for trace in traces), Counter())) for name in TOTALS},
        "lost": sum(trace["lost"] for trace in traces),
        "nearest_us": sorted(near for trace in traces for near in trace["nearest_us"])[:10],
    }  # fmt: skip


TOTALS = ("counts", "escaped", "gaps_us")
DEFAULTS = {"overhead": "rendezvous", "hangs": "rendezvous", "windows": "all-receives"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=tuple(DEFAULTS))
    parser.add_argument("--runtime", default="tf1.12")
    parser.add_argument("--arm", default="dataset")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting; again for more")
    parser.add_argument("--probes", help="probe set (default: rendezvous; for windows all-receives)")
    parser.add_argument("--seconds", type=float, help="of a window (default 10), of a trial at most (default 120)")
    parser.add_argument("--pairs", type=int, default=10, help="of windows, for overhead")
    parser.add_argument("--hangs", type=int, default=20, help="in each of the two arms, for hangs")
    parser.add_argument("--trials", type=int, default=20, help="for windows")
    parser.add_argument("--burst", type=float, default=math.inf, help="seconds after which no trial is started")
    parser.add_argument("--log", type=Path, help="default: trace-WHAT.jsonl")
    parser.add_argument("--json", action="store_true", help="on one line")
    options = parser.parse_args()
    options.probes = options.probes or DEFAULTS[options.what]
    options.seconds = options.seconds or (10.0 if options.what == "overhead" else 120.0)
    options.log = options.log or Path(f"trace-{options.what}.jsonl")
    try:
        result = {"overhead": overhead, "hangs": hangs, "windows": windows}[options.what](options)
    except LastbatchError as error:
        print(f"trace: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(result, indent=None if options.json else 2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
