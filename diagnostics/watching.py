"""Tells from outside that a job has stopped moving: CPU time, bytes on sockets and files, growth of the log.

A process that has been quiet before (an evaluation that waits, a slow checkpoint) may be quiet as long again and more,
so what a job is allowed grows with what it has shown. Only a job of which *no* process moves is suspected.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from diagnostics.collect import procfs
from diagnostics.model import Record

MOVING_CPU = 0.05
"""Seconds of CPU a second: an idle TensorFlow process with its timers stays well below."""
MOVING_BYTES = 4096.0
"""Bytes a second, read and written, sockets and files together; keep-alives stay below."""


class Look(Record, frozen=True):
    """What a job has used so far, over all its processes. `at` is monotonic; `moved` counts bytes."""

    at: float
    cpu: float
    moved: int


class Quiet(Record, frozen=True):
    """How long the job has not moved, and the longest time that it did not before and then went on. Seconds."""

    since: float
    longest: float = 0.0
    last: Look | None = None

    def after(self, look: Look) -> Quiet:
        """With one more look."""
        if self.last is None or not has_moved(self.last, look):
            return Quiet(self.since, self.longest, look)
        return Quiet(look.at, max(self.longest, self.last.at - self.since), look)

    def seconds(self, now: float) -> float:
        return now - self.since

    def allowed(self, floor: float) -> float:
        return max(floor, 3 * self.longest)


def has_moved(before: Look, after: Look) -> bool:
    seconds = max(after.at - before.at, 1e-3)
    # A process that has ended takes its counters with it; that is a change as well.
    return (
        after.cpu - before.cpu > MOVING_CPU * seconds
        or after.moved - before.moved > MOVING_BYTES * seconds
        or after.moved < before.moved
    )


def look_at(pids: Mapping[int, int]) -> Look:
    """One look, some tens of microseconds a process; touches none. `pids` with their start times."""
    cpu, moved = 0.0, 0
    for pid, started in pids.items():
        if procfs.start_time(pid) == started:
            cpu += procfs.cpu_of(pid)
            text = procfs.read_text(Path(f"/proc/{pid}/io"))
            moved += sum(int(number) for number in re.findall(r"^[rw]char: (\d+)", text, re.MULTILINE))
    return Look(time.monotonic(), cpu, moved)


def wait_for_hang(
    pids_of: Callable[[], Mapping[int, int]],
    has_ended: Callable[[], bool],
    floor: float,
    progress: Callable[[float, float], None] = lambda quiet, allowed: None,
) -> Quiet | None:
    """Watch until the job has not moved for longer than it may, or has ended (None).

    Looks a twentieth of the allowed time apart, between 0.5 and 5 seconds: more often only when it matters.
    """
    quiet = Quiet(time.monotonic())
    while not has_ended():
        now = time.monotonic()
        quiet = quiet.after(look_at(pids_of()))
        allowed = quiet.allowed(floor)
        if quiet.seconds(now) > allowed:
            return quiet
        progress(quiet.seconds(now), allowed)
        time.sleep(min(5.0, max(0.5, allowed / 20)))
    return None
