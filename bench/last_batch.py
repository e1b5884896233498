"""What reproduces where: the seed's arms on old and new releases, many times, as a table and as JSON.

    python bench/last_batch.py                  # everything, about half an hour on two quiet cores
    python bench/last_batch.py --only tf1.12    # rows whose name has this in it
    python bench/last_batch.py --json

Runs whole trials, one after the other: nothing else should run beside it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from repro import scenarios
from repro.runtimes import ensure
from repro.trial import Outcome, Plan, run_trial


class Row(NamedTuple):
    """One line of the table: an arm in a setting, so many trials of so many epoch ends each."""

    name: str
    runtime: str
    arm: str
    settings: dict[str, str]
    trials: int
    time_limit: float = 120.0


def _row(runtime: str, arm: str, trials: int, time_limit: float = 120.0, **settings: int) -> Row:
    said = " ".join(f"{key}={value}" for key, value in settings.items() if key != "epoch_ends")
    name = f"{runtime} {arm}" + (f" {said}" if said else "")
    return Row(name, runtime, arm, {key: str(value) for key, value in settings.items()}, trials, time_limit)


ROWS = (
    _row("tf1.12", "dataset", 10, epoch_ends=100_000),
    _row("tf1.8", "dataset", 2, epoch_ends=100_000),
    _row("tf1.4", "dataset", 2, epoch_ends=100_000),
    _row("tf1.12", "queue-closed", 2, epoch_ends=100_000),
    _row("tf1.12", "queue", 1, 900.0, epoch_ends=2000),
    _row("tf1.12", "dataset", 1, 900.0, ps=1, epoch_ends=2000),
    _row("tf1.12", "dataset", 1, 900.0, inter_op=1, epoch_ends=2000),
    _row("tf1.12", "dataset-article", 1, 900.0, variables=50, epoch_ends=1000),
    _row("tf1.13", "dataset", 1, 900.0, epoch_ends=3000),
    _row("tf1.15", "dataset", 1, 900.0, epoch_ends=3000),
    _row("tf2", "dataset", 1, 900.0, epoch_ends=3000),
    _row("tf1.12", "dataset", 20, 60.0, ps=1, slow_percent=5, epoch_ends=200),
)


class Quiet:
    """Observer that says nothing."""

    def stage(self, words: str) -> None:
        pass

    def progress(self, epoch_ends: int, target: int, seconds: float) -> None:
        pass


def measure(row: Row, home: Path) -> list[Outcome]:
    story, runtime = scenarios.find("last-batch"), ensure(row.runtime)
    outcomes = []
    for number in range(row.trials):
        directory = home / row.name.replace(" ", "-") / str(number)
        plan = Plan(story, row.arm, runtime, story.resolve(row.settings), row.time_limit, directory)
        outcomes.append(run_trial(plan, Quiet()))
        print(f"{row.name} {number + 1}/{row.trials}: {outcomes[-1].verdict} {outcomes[-1].why}", file=sys.stderr)
    return outcomes


def summary(row: Row, outcomes: list[Outcome]) -> dict[str, Any]:
    hung = [outcome for outcome in outcomes if outcome.verdict == "hung"]
    return {
        "row": row.name,
        "trials": len(outcomes),
        "hung": len(hung),
        "named": sum(outcome.finding is not None for outcome in hung),
        "failed": sum(outcome.verdict == "failed" for outcome in outcomes),
        "epoch_ends": [outcome.epoch_ends for outcome in outcomes],
        "seconds": [outcome.seconds for outcome in outcomes],
        "noticing": [outcome.noticing for outcome in hung],
        "collecting": [outcome.collecting for outcome in hung],
    }


def _line(found: dict[str, Any]) -> str:
    fewest, most = min(found["epoch_ends"]), max(found["epoch_ends"])
    ends = f"{fewest} to {most}" if found["trials"] > 1 else f"{fewest}"
    times = "/".join(
        f"{statistics.median(found[key]):.1f}" if found[key] else "-" for key in ("seconds", "noticing", "collecting")
    )
    counts = f"{found['hung']:3}/{found['trials']:<3} {found['named']:5} {found['failed']:6}"
    return f"{found['row']:44} {counts}  {ends:>14}  {times:>18}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="the row of this name, else those that have it in theirs")
    parser.add_argument("--trials", type=int, help="instead of each row's own number")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    exactly = [row for row in ROWS if row.name == chosen.only]
    found = []
    if not chosen.json:
        print(f"{'':44}  hung  named failed      epoch ends  s: training/noticing/collecting (median)")
    with tempfile.TemporaryDirectory() as home:
        for row in exactly or [row for row in ROWS if chosen.only in row.name]:
            wanted = row._replace(trials=chosen.trials or row.trials)
            found.append(summary(wanted, measure(wanted, Path(home))))
            if not chosen.json:
                print(_line(found[-1]), flush=True)
    if chosen.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
