"""What tracing costs and what it proves: steps a second with and without, hung runs proven, near misses.

    python bench/trace.py overhead --runtime tf1.15 --pairs 5 --seconds 30   # alternating runs that do not hang
    python bench/trace.py proven --runtime tf1.12 --runs 10                  # hung runs, and how many the trace proves
    python bench/trace.py windows --runtime tf1.15 --seconds 120             # how wide the windows are, how often hit

Needs root and bpftrace. Runs whole trials, one after the other: nothing else should run beside it. `--json` for JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from diagnostics.errors import LastbatchError
from repro import scenarios
from repro.runtimes import ensure
from repro.trial import Outcome, Plan, run_trial

FOREVER = "1000000"


class Quiet:
    """Observer that says nothing."""

    def stage(self, words: str) -> None: ...

    def progress(self, epoch_ends: int, target: int, seconds: float) -> None: ...


def trial(runtime: str, arm: str, seconds: float, probes: str) -> Outcome:
    story = scenarios.find("last-batch")
    with tempfile.TemporaryDirectory() as home:
        plan = Plan(
            scenario=story, arm=arm, runtime=ensure(runtime), settings=story.resolve({"epoch_ends": FOREVER}),
            time_limit=seconds, directory=Path(home) / "trial", probes=probes,
        )  # fmt: skip
        return run_trial(plan, Quiet())


def overhead(options: argparse.Namespace) -> dict[str, Any]:
    """Epoch ends a second, which are two steps each, in pairs of runs next to each other."""
    pairs = []
    for number in range(options.pairs):
        order = ("", "rendezvous") if number % 2 else ("rendezvous", "")
        rates = {}
        for probes in order:
            outcome = trial(options.runtime, options.arm, options.seconds, probes)
            rates[probes] = outcome.epoch_ends / outcome.seconds
        pairs.append({"without": rates[""], "with": rates["rendezvous"], "ratio": rates["rendezvous"] / rates[""]})
    ratios = [pair["ratio"] for pair in pairs]
    return {
        "runtime": options.runtime, "arm": options.arm, "pairs": pairs,
        "slower_by_percent": round(100 * (1 - statistics.median(ratios)), 2),
    }  # fmt: skip


def proven(options: argparse.Namespace) -> dict[str, Any]:
    runs = []
    while len(runs) < options.runs:
        outcome = trial(options.runtime, options.arm, options.seconds, "rendezvous")
        if outcome.verdict == "hung" and outcome.trace:
            stuck = [call for call in outcome.trace.escaped if not call.came_back]
            runs.append(
                {
                    "epoch_ends": outcome.epoch_ends, "verdict": outcome.trace.verdict.value, "why": outcome.trace.why,
                    "windows": [call.window for call in stuck], "lost": outcome.trace.lost,
                    "did_not_run": outcome.trace.did_not_run,
                }
            )  # fmt: skip
    return {"runtime": options.runtime, "proven": sum(run["verdict"] == "proven" for run in runs), "runs": runs}


def windows(options: argparse.Namespace) -> dict[str, Any]:
    outcome = trial(options.runtime, options.arm, options.seconds, "rendezvous")
    trace = outcome.trace
    assert trace
    return {
        "runtime": options.runtime, "arm": options.arm, "verdict": outcome.verdict, "trace": trace.verdict.value,
        "epoch_ends": outcome.epoch_ends, "counts": msgspec.to_builtins(trace.counts), "lost": trace.lost,
        "escaped": msgspec.to_builtins(trace.escaped_total), "gaps_us": msgspec.to_builtins(trace.gaps),
        "nearest_us": [miss.microseconds for miss in trace.near_misses[:5]],
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("overhead", "proven", "windows"))
    parser.add_argument("--runtime", default="tf1.12")
    parser.add_argument("--arm", default="dataset")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        result = {"overhead": overhead, "proven": proven, "windows": windows}[options.what](options)
    except LastbatchError as error:
        print(f"trace: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(result, indent=None if options.json else 2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
