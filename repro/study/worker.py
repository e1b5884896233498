"""One trial in a process of its own: `python -m repro.study.worker` takes a TrialSpec and gives a result, as JSON.

The process and all that it starts stay on the cores that it was given. When it ends, whatever ends it, nothing of
the trial is left.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import sys
import time
from pathlib import Path

import msgspec

from diagnostics.analyze.progress import Limits
from diagnostics.errors import LastbatchError
from diagnostics.model import Diagnosis
from diagnostics.transport import flight
from repro import scenarios
from repro.cluster.backends import prepare
from repro.cluster.limits import NodeLimits
from repro.faults import schedule
from repro.study import stressors
from repro.study.cell import Cell
from repro.study.contention import Meter
from repro.study.store import Result
from repro.trial import Observer, Outcome, Plan, run_trial


class TrialSpec(msgspec.Struct, frozen=True):
    """`target` is in epoch ends of the whole job, `time_limit` and `hang_after` in seconds; no cores: all."""

    cell: Cell
    target: int
    time_limit: float
    directory: str
    hang_after: float = 4.0
    cores: tuple[int, ...] = ()


FIRST_STEPS = 15.0
"""Seconds that the first steps of a trial may take longer than the later ones."""


class Quiet:
    """Observer that says nothing."""

    def stage(self, words: str) -> None:
        pass

    def progress(self, epoch_ends: int, target: int, seconds: float) -> None:
        pass


def run_one(spec: TrialSpec, observer: Observer = Quiet()) -> Result:
    """Run the trial here. Keeps the bundle and report of a hang, and nothing else."""
    began = time.monotonic()
    if spec.cores:
        os.sched_setaffinity(0, spec.cores)
    cores = tuple(sorted(os.sched_getaffinity(0)))
    directory = Path(spec.directory)
    meter, disturbing = Meter(), {name: stressors.parse(name) for name in spec.cell.stressors}
    try:
        outcome = run_trial(_plan(spec), observer, meters=[meter], stressors=list(disturbing.values()))
        error_after = error_after_ms(directory)
    except LastbatchError as error:
        return Result("failed", str(error), wall=time.monotonic() - began, host=socket.gethostname(), cores=cores)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return Result(
        verdict=verdict_of(outcome), why=outcome.why, epoch_ends=outcome.epoch_ends,
        training=round(max(0.0, outcome.seconds - outcome.noticing), 2), wall=round(time.monotonic() - began, 2),
        cause=outcome.finding.cause if outcome.finding else "",
        shape=shape_of(outcome.diagnosis) if outcome.diagnosis else "",
        contention=meter.contention, others=meter.others, error_after_ms=error_after,
        moved={name: stressor.record for name, stressor in disturbing.items()},
        host=socket.gethostname(), cores=cores, evidence=str(outcome.bundle or ""),
    )  # fmt: skip


def _plan(spec: TrialSpec) -> Plan:
    cell = spec.cell
    scenario, settings = scenarios.find(cell.scenario), cell.resolved
    backend, runtime = prepare(cell.backend, cell.runtime, NodeLimits(), lambda said: None)
    single = Plan(scenario, cell.arm, runtime, {**settings, "epoch_ends": 1}, spec.time_limit, Path(spec.directory))
    settings = {**settings, "epoch_ends": max(1, -(-spec.target // single.target))}
    faults = tuple(schedule.parse(fault) for fault in cell.faults)
    # Some hang at their first epoch end, before there is a history; a minute of silence for each is dear.
    limits = Limits(floor=spec.hang_after, unknown_history=FIRST_STEPS + spec.hang_after)
    return msgspec.structs.replace(single, settings=settings, limits=limits, backend=backend, faults=faults)


def verdict_of(outcome: Outcome) -> str:
    """Silence at the time limit is neither a hang nor none; a hang without a name is one of an unknown kind."""
    return "unknown" if outcome.verdict == "time-limit" and outcome.silent else outcome.verdict


def shape_of(diagnosis: Diagnosis) -> str:
    """Who waits for whom, by role: the same for every hang of one kind, whichever ranks it met."""
    arrows = {f"{wait.rank.split(':')[0]} waits for {wait.on.split(':')[0]}" for wait in diagnosis.waits}
    return ", ".join(sorted(arrows))


def error_after_ms(directory: Path) -> float:
    """Median time from the start of an epoch's last step to its error, over all ranks that record; -1: none."""
    found = []
    for path in directory.glob("*/flight.lbrec"):
        recording = flight.load(path)
        began = ended = -1.0
        for event in recording.events if recording else ():
            if event.kind == "step_begin":
                began, ended = event.at, -1.0
            elif event.kind == "step_end":
                ended = event.at
            elif event.kind == "end_of_sequence" and began >= 0 and ended >= began:
                found.append((ended - began) * 1e3)
    return round(statistics.median(found), 3) if found else -1.0


def main() -> None:
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=TrialSpec)
    answer = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints must not get into the answer
    result = run_one(spec)
    with open(answer, "wb") as file:
        file.write(msgspec.json.encode(result))


if __name__ == "__main__":
    main()
