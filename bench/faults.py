"""What the verdicts say of each fault, on two frameworks, a container a rank: a table, and JSON.

    python bench/faults.py                          # everything, 5 trials each: about two hours on two quiet cores
    python bench/faults.py --only tf2/freeze        # rows whose name has this in it
    python bench/faults.py --trials 1 --log seen.jsonl   # adds each trial to a file, from which --table makes the table
    python bench/faults.py --log seen.jsonl --table
    python bench/faults.py --only tf2 --cores 1     # each rank on that core, so that two of these halve the time
    python bench/faults.py --trials 1 --via         # the evidence comes through a command, as from another host

A row is right in a trial if the verdict has the family of the fault; for a healed fault and for none, if no rank was
called hung and the job goes on.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from diagnostics.analyze.progress import Limits
from diagnostics.errors import LastbatchError
from repro import scenarios
from repro.cluster.backends import prepare
from repro.cluster.limits import NodeLimits
from repro.faults import history, load, schedule
from repro.trial import Outcome, Plan, run_trial

SERVERS, COLLECTIVE = "tf1.12", "tf2"
SETTINGS = {
    SERVERS: ("last-batch", "dataset-article", {"variables": 10, "inter_op": 1, "ps": 2, "batches": 20}),
    COLLECTIVE: ("multi-worker", "collective", {"workers": 2, "batches": 5}),
}
ENDLESS = 100_000
GOES_ON = frozenset({"none", "slow", "unknown"})
"""Families that a job may have that was healed a moment ago, or that nothing was done to."""
LIMITS = Limits(phase=20.0, unknown_history=20.0)
"""A rank that never came up is given 20 s here, not the two minutes that a user's job gets."""

# So late that every rank has a history of its own, which outweighs what comes after.
WHEN = {SERVERS: "at=worker:0@10", COLLECTIVE: "at=worker:0@20"}
VICTIM = {SERVERS: "ps:1", COLLECTIVE: "worker:1"}
READER = {SERVERS: "worker:0", COLLECTIVE: "worker:1"}
LASTING = {
    "freeze": "freeze:{victim},{when}",
    "kill": "kill:{victim},{when}",
    "oom": "oom:{victim},{when}",
    "throttle": "throttle:{victim},cpus=0.02,{when}",
    "partition-both": "partition:{victim}<>worker:0,{when}",
    "partition-to": "partition:worker:0>{victim},{when}",
    "partition-from": "partition:{victim}>worker:0,{when}",
    "delay": "delay:{victim},ms=200,{when}",
    "loss": "loss:{victim},percent=40,{when}",
    "rate": "rate:{victim},kbit=16,{when}",
    "stall-disk": "stall-disk:{reader},{when}",
    "absent": "absent:{victim}",
}
HEALED = {
    "freeze-healed": "freeze:{victim},{when},for=3",
    "throttle-healed": "throttle:{victim},cpus=0.02,{when},for=6",
    "partition-healed": "partition:{victim}<>worker:0,{when},for=3",
    "delay-healed": "delay:{victim},ms=200,{when},for=6",
    "loss-healed": "loss:{victim},percent=40,{when},for=6",
    "rate-healed": "rate:{victim},kbit=16,{when},for=6",
    "stall-disk-healed": "stall-disk:{reader},{when},for=3",
}
SECONDS = 25.0
"""Of training, anew from the fault: a healed one lasts at most 6 s, and may take twice as long to get over. If it has
not struck by then, on a busy machine, the trial says nothing and is not counted."""


class Row(NamedTuple):
    """`fault` is "" for a healthy job. `family` is what the verdict should call it, "" for a job that goes on."""

    name: str
    runtime: str
    fault: str
    family: str


def rows() -> Iterator[Row]:
    for runtime in SETTINGS:
        yield Row(f"{runtime}/healthy", runtime, "", "")
        for name, written in (LASTING | HEALED).items():
            fault = written.format(victim=VICTIM[runtime], reader=READER[runtime], when=WHEN[runtime])
            family = "" if name in HEALED else load()[fault.partition(":")[0]].family
            yield Row(f"{runtime}/{name}", runtime, fault, family)


class Quiet:
    """Observer that says nothing."""

    def stage(self, words: str) -> None:
        pass

    def progress(self, epoch_ends: int, target: int, seconds: float) -> None:
        pass


def plan_of(row: Row, directory: Path, cores: str, via: str, seconds: float) -> Plan:
    name, arm, given = SETTINGS[row.runtime]
    story = scenarios.find(name)
    settings = story.resolve({key: str(value) for key, value in given.items()} | {"epoch_ends": str(ENDLESS)}, arm)
    place, ready = prepare("docker", row.runtime, NodeLimits(cpuset=cores), lambda _: None)
    faults = (schedule.parse(row.fault),) if row.fault else ()
    return Plan(story, arm, ready, settings, seconds, directory, LIMITS, place, faults=faults, via=via)


def judge(row: Row, outcome: Outcome) -> tuple[str, bool]:
    """What was said of a trial, and whether it is right."""
    family = outcome.diagnosis.verdict if outcome.diagnosis else "none"
    if row.family:
        return family, family == row.family
    return family, outcome.verdict == "time-limit" and family in GOES_ON


def one_trial(row: Row, cores: str, keep: Path | None, via: str, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        began = time.monotonic()
        try:
            outcome = run_trial(plan_of(row, Path(scratch) / "trial", cores, via, seconds), Quiet())
        except LastbatchError as error:
            return {"row": row.name, "right": False, "said": f"error: {error}", "verdict": "error", "hung": False}
        said, right = judge(row, outcome)
        if keep and not right:
            shutil.copytree(scratch, keep / f"{row.name.replace('/', '-')}-{int(time.time())}")
        entries = history.read(Path(scratch) / "trial" / history.NAME)
        before = itertools.takewhile(lambda entry: entry.what != outcome.verdict, entries)
        struck = not row.fault or any(entry.what == "struck" for entry in before)
        return {
            "struck": struck, "row": row.name, "right": right, "said": said, "verdict": outcome.verdict,
            "hung": outcome.verdict == "hung", "why": outcome.why, "epoch_ends": outcome.epoch_ends,
            "confidence": outcome.finding.confidence if outcome.finding else 0.0,
            "evidence": [sight.fact for sight in outcome.finding.evidence] if outcome.finding else [],
            "seconds": round(time.monotonic() - began, 1),
        }  # fmt: skip


def table(seen: Iterable[dict[str, Any]]) -> str:
    by_row: dict[str, list[dict[str, Any]]] = {}
    for trial in (trial for trial in seen if trial.get("struck", True)):
        by_row.setdefault(trial["row"], []).append(trial)
    lines = [f"{'framework / fault':26}  {'expected':18}  right     said", "-" * 76]
    right = hung = total = quiet = 0
    for row in rows():
        trials = by_row.get(row.name, [])
        if not trials:
            continue
        good = sum(trial["right"] for trial in trials)
        said = ", ".join(sorted({trial["said"][:40] for trial in trials}))
        lines.append(f"{row.name:26}  {row.family or 'goes on':18}  {good} of {len(trials):<4} {said}")
        right, total = right + good, total + len(trials)
        if not row.family:
            quiet, hung = quiet + len(trials), hung + sum(trial["hung"] for trial in trials)
    share = f"{right / total:.1%}" if total else "none"
    lines += ["", f"right: {right} of {total} ({share}); healthy or healed trials called hung: {hung} of {quiet}"]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="rows whose name has this in it")
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--cores", default="", help="cores of the ranks, as in a cpuset; default: all")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of training; more on a busy machine")
    through = "collect the evidence through a command, as attach does; default: %(const)r"
    parser.add_argument("--via", nargs="?", const="env X={host}", default="", help=through)
    parser.add_argument("--log", type=Path, help="a file to which each trial is added, one JSON line each")
    parser.add_argument("--keep", type=Path, help="a directory for the evidence of trials that were judged wrong")
    parser.add_argument("--table", action="store_true", help="run nothing, print the table of --log")
    parser.add_argument("--json", action="store_true", help="all trials as JSON instead of the table")
    options = parser.parse_args()
    seen: list[dict[str, Any]] = []
    if options.table:
        seen = [json.loads(line) for line in options.log.read_text().splitlines()]
    else:
        every = list(rows())
        exactly = [row for row in every if row.name == options.only]
        chosen = exactly or [row for row in every if options.only in row.name]
        for row in chosen:
            for _ in range(options.trials):
                seen.append(one_trial(row, options.cores, options.keep, options.via, options.seconds))
                print(json.dumps(seen[-1])[:400], file=sys.stderr, flush=True)
                if options.log:
                    with options.log.open("a") as file:
                        file.write(json.dumps(seen[-1]) + "\n")
    print(json.dumps(seen, indent=2) if options.json else table(seen))


if __name__ == "__main__":
    main()
