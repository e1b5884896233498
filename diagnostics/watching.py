"""Tells from outside that a job has stopped moving: CPU time, bytes on sockets and files, growth of the log.

A process that has been quiet before (an evaluation that waits, a slow checkpoint) may be quiet as long again and more,
so what a job is allowed grows with what it has shown. Only a job of which *no* process moves is suspected.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from diagnostics.collector import procfs
from diagnostics.collector.kernel import text_of
from diagnostics.discover.scan import all_pids
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


class Hang(NamedTuple):
    """What was seen until the job was suspected: of all of it, and of each process."""

    job: Quiet
    processes: Mapping[int, Quiet]


class Family:
    """Some processes and everything below them, kept up to date at the cost of one listing of /proc."""

    def __init__(self, roots: Iterable[int]) -> None:
        self._known: set[int] = set()
        self._members: dict[int, int] = {}
        for pid in roots:
            self._admit(pid)

    def members(self) -> Mapping[int, int]:
        """pid -> start time. Who has lost its parent still belongs to them."""
        pids = set(all_pids())
        new = pids - self._known
        self._known = pids
        parents = {pid: procfs.parent_of(pid) for pid in new - self._members.keys()}
        while found := [pid for pid, parent in parents.items() if parent in self._members]:
            for pid in found:
                del parents[pid]
                self._admit(pid)
        self._members = {pid: started for pid, started in self._members.items() if pid in pids}
        return self._members

    def _admit(self, pid: int) -> None:
        if procfs.exists(pid):
            self._members[pid] = procfs.start_time(pid)


def look_at(pids: Mapping[int, int]) -> dict[int, Look]:
    """One look at each, some tens of microseconds; touches none. `pids` with their start times."""
    looks = {}
    for pid, started in pids.items():
        cpu, since = procfs.cpu_and_start(pid)
        if since == started:
            text = text_of(f"/proc/{pid}/io")
            moved = sum(int(number) for number in re.findall(r"^[rw]char: (\d+)", text, re.MULTILINE))
            looks[pid] = Look(time.monotonic(), cpu, moved)
    return looks


def together(looks: Iterable[Look], at: float) -> Look:
    """Of the whole job."""
    looks = tuple(looks)
    return Look(at, sum(look.cpu for look in looks), sum(look.moved for look in looks))


def wait_for_hang(
    family: Family,
    has_ended: Callable[[], bool],
    floor: float,
    progress: Callable[[float, float], None] = lambda quiet, allowed: None,
) -> Hang | None:
    """Watch until the job has not moved for longer than it may, or has ended (None).

    Looks a twentieth of the allowed time apart, between 1 and 5 seconds: more often only when it matters.
    """
    job, processes = Quiet(time.monotonic()), dict[int, Quiet]()
    while not has_ended():
        now = time.monotonic()
        looks = look_at(family.members())
        job = job.after(together(looks.values(), now))
        processes = {pid: processes.get(pid, Quiet(now)).after(look) for pid, look in looks.items()}
        allowed = job.allowed(floor)
        if job.seconds(now) > allowed:
            return Hang(job, processes)
        progress(job.seconds(now), allowed)
        time.sleep(min(5.0, max(1.0, allowed / 20)))
    return None
