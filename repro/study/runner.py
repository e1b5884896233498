"""The loop of every study: ask what to try next, start it, write down what came of it, until nobody wants more."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from repro.study.cell import Cell
from repro.study.engine import Engine
from repro.study.store import Study, Trial
from repro.study.worker import TrialSpec

UNKNOWN_PACE = 10.0
"""Epoch ends a second that a cell is taken for until one of its trials has ended."""
PATIENCE, PATIENCE_SECONDS = 5.0, 60.0
"""A trial may take so many times as long as planned, and so many seconds more, before its time is up."""
ENOUGH_FAILURES = 3
HANG_AFTER = 2.0
"""Seconds. Steps of a study take milliseconds; a rank that pauses for longer has moved by the second sample."""


Policy = Callable[[Sequence[Trial]], Cell | None]
"""From all trials so far, those that run included, to the cell to run next.

None: no more, or wait for those that run.
"""


class Watcher(Protocol):
    """Told how a study goes on, after every change and every second."""

    def __call__(self, trials: Sequence[Trial], running: int) -> None: ...


class Pacing(msgspec.Struct, frozen=True):
    """How long a trial shall be. `slice` is its training in seconds; a hang is called after `hang_after` of silence."""

    slice: float = 30.0
    hang_after: float = HANG_AFTER


def pace_of(trials: Sequence[Trial], cell: str) -> float:
    """Epoch ends a second of training of a cell so far; `UNKNOWN_PACE` while there is nothing to go by."""
    results = [trial.result for trial in trials if trial.result and trial.cell == cell and trial.result.training > 0]
    ends, seconds = sum(r.epoch_ends for r in results), sum(r.training for r in results)
    return max(ends, 1) / seconds if seconds else UNKNOWN_PACE


def target_of(trials: Sequence[Trial], cell: str, pacing: Pacing) -> int:
    return max(10, round(pace_of(trials, cell) * pacing.slice))


def failing(trials: Sequence[Trial], cell: str) -> str:
    """Why a cell is not worth another try: its last trials all failed. "" if it is."""
    ended = [trial for trial in trials if trial.cell == cell and trial.state != "running" and trial.result]
    last = [trial.result for trial in ended[-ENOUGH_FAILURES:] if trial.result]
    if len(last) == ENOUGH_FAILURES and all(result.verdict in ("failed", "lost") for result in last):
        return last[-1].why
    return ""


def training_share(trials: Sequence[Trial]) -> float:
    """Part of the trials' time in which the job trained, and was not started, noticed, collected from. nan: none."""
    results = [trial.result for trial in trials if trial.result and trial.state == "ended"]
    wall = sum(result.wall for result in results)
    return sum(result.training for result in results) / wall if wall else float("nan")


def run_study(
    study: Study, policy: Policy, engine: Engine, pacing: Pacing, watcher: Watcher, seconds: float = float("inf")
) -> bool:
    """Run trials until `policy` wants no more. False: the time was up first; those that ran were waited for."""
    deadline, running = time.monotonic() + seconds, 0
    evidence = study.path.with_suffix(".evidence").resolve()
    _sweep(evidence)
    while True:
        in_time = time.monotonic() < deadline
        while in_time and running < engine.slots and (cell := policy(trials := study.trials())):
            study.add_cell(cell)
            target = target_of(trials, cell.label, pacing)
            number = study.start(cell.label, target)
            engine.start(number, _spec(cell, target, pacing, evidence / f"trial-{number:05}"))
            running += 1
        watcher(study.trials(), running)
        if not running:
            return in_time
        for number, result in engine.wait(1.0):
            running -= 1
            if isinstance(result, str):
                study.lose(number, result)
            else:
                study.end(number, result)


def _sweep(evidence: Path) -> None:
    """Remove what a trial that was killed had no time to remove. Bundles and reports are files beside it."""
    for directory in evidence.glob("trial-*"):
        if directory.is_dir():
            shutil.rmtree(directory, ignore_errors=True)


def _spec(cell: Cell, target: int, pacing: Pacing, directory: Path) -> TrialSpec:
    limit = PATIENCE * pacing.slice + PATIENCE_SECONDS
    return TrialSpec(cell, target, limit, str(directory), pacing.hang_after)
