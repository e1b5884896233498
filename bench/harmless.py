"""Attaches many times to a healthy training job, and compares its losses and its pace with those of one left alone.

A hundred attaches go to one job, some seconds apart; each such part is kept in a file as soon as it is done, so that a
run that was interrupted goes on where it was. Its pace is that of the whole time against that of as long before and
after, when nobody attaches.

    python bench/harmless.py --attaches 500 --keep harmless.jsonl
    python bench/harmless.py --job ddp --attaches 200 --every 3      # two ranks; rings of collectives are read as well
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from harmless_jobs import JOBS, Job, running

from diagnostics.collector import procfs
from diagnostics.model import Process, State
from diagnostics.pipeline import attach

QUIET = 15.0
"""Seconds before and after the attaches in which the job is left alone."""
CALM = (State.PROGRESSING, State.IDLE, State.SLOW, State.FINISHED)


class Part(msgspec.Struct):
    """What came of some attaches to one job. Times in seconds."""

    job: str
    attaches: int
    without_a_stack: int
    without_a_ring: int
    called_hung: int
    undecided: int
    seconds: float
    steps: int
    steps_while_attaching: int
    steps_alone: int
    seconds_alone: float
    exit_status: int
    same_losses: bool
    pauses: list[float]


def attach_often(name: str, attaches: int, every: float, home: Path, tell: Callable[[int, str], None]) -> Part:
    part = Part(name, attaches, 0, 0, 0, 0, 0.0, 0, 0, 0, 0.0, 0, False, [])
    with running(name, home / "watched", -1) as job:
        _wait_for_steps(job, 20)
        _leave_alone(job, part)
        began, first = time.monotonic(), job.steps()
        for number in range(attaches):
            answer = attach(job.pids)
            _note(part, answer.collection.processes)
            tell(number + 1, answer.diagnosis.verdict)
            if any(procfs.state_of(pid) not in ("R", "S", "D") for pid in job.pids):
                sys.exit("after an attach the job stands or has ended")
            time.sleep(max(0.0, began + (number + 1) * every - time.monotonic()))
        part.seconds, part.steps_while_attaching = time.monotonic() - began, job.steps() - first
        _leave_alone(job, part)
        job.stop()
        part.exit_status = job.wait()
        watched = job.losses()
    part.steps = min(map(len, watched))
    with running(name, home / "alone", part.steps) as job:
        job.wait()
        part.same_losses = watched == job.losses()
    return part


def _wait_for_steps(job: Job, steps: int) -> None:
    while job.steps() < steps:
        if job.has_ended():
            sys.exit("the job did not start")
        time.sleep(0.1)


def _leave_alone(job: Job, part: Part) -> None:
    began, first = time.monotonic(), job.steps()
    time.sleep(QUIET)
    part.seconds_alone += time.monotonic() - began
    part.steps_alone += job.steps() - first


def _note(part: Part, processes: Sequence[Process]) -> None:
    part.pauses += [one.pause for one in processes]
    part.without_a_stack += any(not one.threads for one in processes)
    part.without_a_ring += any(not one.collectives for one in processes)
    part.called_hung += any(one.state in (State.HUNG, State.DEAD) for one in processes)
    part.undecided += any(one.state not in (*CALM, State.HUNG, State.DEAD) for one in processes)


def summary(parts: Sequence[Part]) -> dict[str, object]:
    pauses = [pause for part in parts for pause in part.pauses]
    seconds = sum(part.seconds for part in parts)
    pace = sum(part.steps_while_attaching for part in parts) / seconds
    alone = sum(part.steps_alone for part in parts) / sum(part.seconds_alone for part in parts)
    return {
        "attaches": sum(part.attaches for part in parts),
        "jobs": len(parts),
        "without a stack": sum(part.without_a_stack for part in parts),
        "without a ring of collectives": sum(part.without_a_ring for part in parts),
        "called hung": sum(part.called_hung for part in parts),
        "undecided": sum(part.undecided for part in parts),
        "seconds": round(seconds, 1),
        "exit status": max((part.exit_status for part in parts), key=abs),
        "steps": sum(part.steps for part in parts),
        "steps a second while attaching": round(pace, 1),
        "steps a second alone": round(alone, 1),
        "pace": round(pace / alone, 3),
        "same losses": all(part.same_losses for part in parts),
        "pause median ms": round(1000 * statistics.median(pauses), 1),
        "pause max ms": round(1000 * max(pauses), 1),
    }


def kept(path: Path, job: str) -> list[Part]:
    parts = [msgspec.json.decode(line, type=Part) for line in path.read_bytes().splitlines()] if path.exists() else []
    return [part for part in parts if part.job == job]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", choices=sorted(JOBS), default="tf2")
    parser.add_argument("--attaches", type=int, default=500)
    parser.add_argument("--every", type=float, default=0.0, help="seconds from one attach to the next, at least")
    parser.add_argument("--each", type=int, default=100, help="attaches to one job, which is then compared")
    parser.add_argument("--keep", type=Path, default=Path("harmless.jsonl"), help="what is done; a next call goes on")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    parts = kept(arguments.keep, arguments.job)
    while (left := arguments.attaches - sum(part.attaches for part in parts)) > 0:
        before = arguments.attaches - left

        def tell(number: int, verdict: str, before: int = before) -> None:
            print(f"{before + number} of {arguments.attaches}: {verdict}", file=sys.stderr, flush=True)

        with tempfile.TemporaryDirectory(prefix="lastbatch-harmless-") as home:
            some = min(left, arguments.each)
            parts.append(attach_often(arguments.job, some, arguments.every, Path(home), tell))
        with arguments.keep.open("ab") as file:
            file.write(msgspec.json.encode(parts[-1]) + b"\n")
    row = summary(parts)
    if arguments.json:
        print(msgspec.json.encode(row).decode())
    else:
        for name, value in row.items():
            print(f"{name:32} {value}")


if __name__ == "__main__":
    main()
