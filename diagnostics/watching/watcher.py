"""What happens to a job, one event after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from diagnostics.watching.deaths import End
from diagnostics.watching.family import Family, Roster
from diagnostics.watching.quiet import Quiet, look_at, together
from diagnostics.watching.spinning import SAMPLES, spins


class Stands(NamedTuple):
    """Nothing has moved for a while: too short to be called a hang, long enough for evidence to be kept."""

    seconds: float


class Moves(NamedTuple):
    """It has gone on for `seconds` since it stood. An abort moves as well, for a moment: that does not count."""

    seconds: float


class Hang(NamedTuple):
    """What was seen until the job was suspected: of all of it, and of each process.

    `spins`: it burns CPU, but no byte is read or written, and no rank leaves its line.
    """

    job: Quiet
    processes: Mapping[int, Quiet]
    spins: bool = False


class Death(NamedTuple):
    """A rank has ended by a signal or with an error, and others may still be there.

    `parent`: who started it, and is about to be told: it is held until somebody has looked.
    """

    end: End
    rank: str
    parent: int


Event = Stands | Moves | Hang | Death
GOES_ON = 20.0
"""Seconds after a stand in which a job that is being aborted has ended."""


class Watcher:
    """Watches a job until something happens to it.

    Args:
        roots: the processes that the job is below.
        has_ended: whether the job is over.
        floor: seconds without movement that are suspicious; a job that was quiet before may be so three times as long.
        early: seconds without movement after which evidence is worth keeping.
        looked: called after each look.
    """

    def __init__(
        self,
        roots: Sequence[int],
        has_ended: Callable[[], bool],
        floor: float,
        early: float,
        looked: Callable[[Watcher], None] = lambda _: None,
    ) -> None:
        self.family, self.roster, self._roots = Family(roots), Roster(roots), list(roots)
        self._has_ended, self._floor, self._early, self._looked = has_ended, floor, early, looked
        self._spun = 0.0
        self._start_over()

    def _start_over(self) -> None:
        now = time.monotonic()
        self._job, self._bytes = Quiet(now), Quiet(now, self._spun)
        self._processes: dict[int, Quiet] = {}
        self._stands_since = self._went_on = 0.0
        self._told, self.roster.deaths.matters = False, True

    @property
    def stood(self) -> float:
        """Seconds without movement: so far, or at its last stand."""
        return (self._went_on or time.monotonic()) - (self._stands_since or self._job.since)

    def moved(self) -> dict[int, tuple[str, float]]:
        """pid -> its rank and when it was last seen to move (monotonic): of the ranks, of all where none has a name."""
        return {
            pid: (self.roster.ranks.get(pid, f"pid:{pid}"), quiet.since)
            for pid, quiet in self._processes.items()
            if pid in self.roster.ranks or not self.roster.ranks
        }

    def next(self) -> Event | None:
        """What happens next, None when the job has ended. After a hang the watch starts over.

        Looks a twentieth of the allowed time apart, between 1 and 5 seconds: more often only when it matters.
        """
        if self._told:  # only now: what is done about a hang takes its time
            self._start_over()
        while not self._has_ended():
            if (event := self._look()) is not None:
                return event
            pause = min(5.0, max(1.0, min(self._early / 4, self._job.allowed(self._floor) / 20)))
            if (end := self.roster.deaths.next(pause)) is not None:
                return self._death(end)
        return None

    def _look(self) -> Event | None:
        now = time.monotonic()
        members = self.family.members()
        self.roster.update(members)
        looks = look_at(members)
        whole = together(looks.values(), now)
        self._job = self._job.after(whole)
        self._bytes = self._bytes.after(msgspec.structs.replace(whole, cpu=0.0))
        self._processes = {pid: self._processes.get(pid, Quiet(now)).after(look) for pid, look in looks.items()}
        self._looked(self)
        quiet = self._job.seconds(now)
        if quiet > self._job.allowed(self._floor):
            return self._suspected(Hang(self._job, self._processes))
        if quiet > self._early and self._stands_since != self._job.since:
            self._stands_since, self._went_on = self._job.since, 0.0
            return Stands(quiet)
        return self._spinning(now) or self._going_on(now)

    def _spinning(self, now: float) -> Hang | None:
        """Asked seldom: a job that computes for long without a byte is given three times as long before the next."""
        if self._bytes.seconds(now) <= self._bytes.allowed(self._floor) or self._job.seconds(now) > self._early:
            return None
        ranks = sorted(self.roster.ranks) or self._roots
        if spins(ranks, min(3.0, self._floor / SAMPLES)):
            self._spun = self._bytes.seconds(now)
            return self._suspected(Hang(self._bytes, self._processes, spins=True))
        self._bytes = Quiet(now, self._bytes.seconds(now), self._bytes.last)
        return None

    def _going_on(self, now: float) -> Moves | None:
        if not self._stands_since or self._stands_since == self._job.since:
            return None
        self._went_on = self._went_on or self._job.since
        if now - self._went_on < GOES_ON:
            return None
        moves = Moves(now - self._went_on)
        self._stands_since = self._went_on = 0.0
        return moves

    def _suspected(self, hang: Hang) -> Hang:
        """What is done about it may end the ranks: that is no news."""
        self._told, self.roster.deaths.matters = True, False
        return hang

    def _death(self, end: End) -> Death:
        rank, parent = self.roster.ranks.pop(end.pid), self.roster.parents.pop(end.pid)
        if end.status is None and not self._stands_since:  # as after a stand: the job goes on, or ends soon
            self._stands_since = self._went_on = time.monotonic()
        return Death(end, rank, parent)
