"""Tells from outside that a job has stopped moving: CPU time, bytes on sockets and files, growth of the log.

A process that has been quiet before (an evaluation that waits, a slow checkpoint) may be quiet as long again and more,
so what a job is allowed grows with what it has shown. Only a job of which *no* process moves is suspected.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from diagnostics.collector import procfs
from diagnostics.model import Record

MOVING_CPU = 0.05
"""Seconds of CPU a second: an idle TensorFlow process with its timers stays well below."""
MOVING_BYTES = 4096.0
"""Bytes a second, read and written, sockets and files together; keep-alives stay below."""


class Look(Record, frozen=True):
    """What a process, or all of a job, has used so far. `at` is monotonic; `moved` counts bytes."""

    at: float
    cpu: float
    moved: int


class Quiet(Record, frozen=True):
    """How long nothing has moved, and the longest time that nothing did before and it then went on. Seconds."""

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


def look_at(pids: Mapping[int, int]) -> dict[int, Look]:
    """One look at each, some tens of microseconds; touches none. `pids` with their start times."""
    looks = {}
    for pid, started in pids.items():
        cpu, since = procfs.cpu_and_start(pid)
        if since == started:
            looks[pid] = Look(time.monotonic(), cpu, max(0, procfs.io_of(pid).moved))
    return looks


def together(looks: Iterable[Look], at: float) -> Look:
    """Of the whole job."""
    looks = tuple(looks)
    return Look(at, sum(look.cpu for look in looks), sum(look.moved for look in looks))
