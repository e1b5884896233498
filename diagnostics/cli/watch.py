"""`lastbatch watch`: wait until a job hangs, then do what attach does."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from diagnostics import pipeline
from diagnostics.analyze.progress import Limits
from diagnostics.cli.attach import Out, conclude, default_path
from diagnostics.cli.console import BAD_NEWS, CANNOT_TELL, OK, Json, command, words
from diagnostics.collector import procfs
from diagnostics.discover.selectors import select
from diagnostics.errors import MissingError, UsageError
from diagnostics.transport import Here, Options, Target
from diagnostics.watching import Family, Hang, wait_for_hang

PAUSE = 70.0
"""Seconds that a job has to go on after a verdict that it does: the longest known pause, and some more."""


class OnHang(str, Enum):
    report = "report"
    exit = "exit"
    kill = "kill"


@command
def watch(
    argv: Annotated[
        list[str] | None, typer.Argument(help="A command to start and watch, after --.", metavar="COMMAND")
    ] = None,
    pid: Annotated[list[str] | None, typer.Option(help="A process (or job:ID) to watch; again for more.")] = None,
    hang_after: Annotated[float, typer.Option(help="Seconds without any movement that are suspicious.", min=1)] = 60.0,
    on_hang: Annotated[OnHang, typer.Option(help="After collecting: watch on, end, or end the job.")] = OnHang.exit,
    out: Out = None,
    as_json: Json = False,
) -> int:
    """Wait until a job hangs, then look at it as attach does, while it is still there.

    Nothing has to be prepared in the job: it is watched from outside. A job that was quiet before (an evaluation, a
    checkpoint) may be quiet three times as long. Ends with 1 after a hang, else as the job ended.

    Example: lastbatch watch --hang-after 120 --on-hang kill -- python train.py
    """
    if bool(argv) == bool(pid):
        raise UsageError("give either --pid or a command after --", "For example: lastbatch watch -- python train.py")
    started = _start(argv) if argv else None
    roots = [started.pid] if started else [member.pid for member in select(pid or [], with_children=False).members]
    try:
        return _watch(roots, started, hang_after, on_hang, out, as_json)
    finally:
        # What we started is not left behind, unless it was to be left standing for a look.
        if started and started.poll() is None and on_hang is not OnHang.exit:
            _end(Family(roots).members())


def _start(argv: list[str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(argv)
    except OSError as error:
        raise MissingError(f"cannot start {argv[0]}: {error.strerror}", "Check the command") from None


def _watch(
    roots: list[int],
    started: subprocess.Popen[bytes] | None,
    hang_after: float,
    on_hang: OnHang,
    out: Path | None,
    as_json: bool,
) -> int:
    def has_ended() -> bool:
        return started.poll() is not None if started else not any(map(procfs.exists, roots))

    code, family = OK, Family(roots)
    while True:
        hang = wait_for_hang(family, has_ended, hang_after)
        if hang is None:
            return code or _how_it_ended(started)
        _tell(hang)
        here = Here(tuple(map(Target, family.members())))
        collection = here.collect(Options())
        # What is known from watching is more than two looks tell.
        limits = Limits(floor=hang_after, unknown_history=min(hang.job.allowed(hang_after), 60.0))
        answer = pipeline.answer(collection, limits, out or default_path(), reach=here)
        if conclude(answer, as_json) in (OK, CANNOT_TELL) and _moves(family, hang_after, PAUSE):
            words.print("lastbatch: it went on by itself; watching on")
            continue
        code = BAD_NEWS
        if on_hang is OnHang.kill:
            _end(family.members())
        if on_hang is not OnHang.report:
            return code
        _moves(family, hang_after)


def _tell(hang: Hang) -> None:
    now = time.monotonic()
    words.print(f"lastbatch: nothing has moved for {hang.job.seconds(now):.0f} s; collecting")
    for pid, quiet in sorted(hang.processes.items(), key=lambda item: item[1].since):
        before = f", before that for {quiet.longest:.0f} s at most" if quiet.longest else ""
        words.print(f"  process {pid} has not moved for {quiet.seconds(now):.0f} s{before}")


def _moves(family: Family, patience: float, within: float = math.inf) -> bool:
    """Wait until the job goes on or is gone, so that a hang is reported once. False: it did not `within` seconds."""
    before, deadline = sum(map(procfs.cpu_of, family.members())), time.monotonic() + within
    while any(map(procfs.exists, (pids := family.members()))) and sum(map(procfs.cpu_of, pids)) - before < 0.5:
        if time.monotonic() > deadline:
            return False
        time.sleep(min(5.0, patience))
    return True


def _how_it_ended(started: subprocess.Popen[bytes] | None) -> int:
    if started is None or not started.returncode:
        return OK
    words.print(f"lastbatch: the command ended with {started.returncode}")
    return BAD_NEWS


def _end(processes: Mapping[int, int], patience: float = 5.0) -> None:
    """Ask them to end, then make them."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid, started in processes.items():
            if procfs.start_time(pid) == started:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
        deadline = time.monotonic() + patience
        while any(procfs.exists(pid) for pid in processes) and time.monotonic() < deadline:
            time.sleep(0.05)
