"""Who belongs to the job that is watched, and what they are called, while they are there to be asked."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress

from diagnostics.collector import procfs
from diagnostics.discover.scan import all_pids
from diagnostics.discover.selectors import select as choose
from diagnostics.errors import LastbatchError
from diagnostics.model.rank import parse


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


SETTLED = 3.0
"""Seconds without a new member after which the job is asked who is who. Programs that come and go have no name."""
_SELDOM = 20.0


class Roster:
    """The names of a job's ranks, asked for when its members have settled; tells at once when one of them ends.

    The kernel says so (man 2 pidfd_open), within a millisecond: before the launcher, which asks now and then, knows.
    """

    def __init__(self, roots: Iterable[int]) -> None:
        self._roots = frozenset(roots)
        self._members: frozenset[int] = frozenset()
        self._since = self._asked = time.monotonic()
        self._named: frozenset[int] = frozenset()
        self.ranks: dict[int, str] = {}
        self.parents: dict[int, int] = {}
        self._handles: dict[int, int] = {}  # descriptor -> pid

    def update(self, members: Iterable[int]) -> None:
        members, now = frozenset(members), time.monotonic()
        if members != self._members:
            self._members, self._since = members, now
        seldom = SETTLED if not self.ranks else _SELDOM
        if members != self._named and now - self._since >= SETTLED and now - self._asked >= seldom:
            self._asked, self._named = now, members
            self._name(members)

    def _name(self, members: frozenset[int]) -> None:
        roots = [str(pid) for pid in self._roots if procfs.exists(pid)]
        try:
            chosen = choose(roots).members if roots else ()
        except LastbatchError:  # it has ended meanwhile
            return
        self.forget()
        for member in chosen:
            rank = parse(member.rank)
            if member.pid in members - self._roots and not rank.is_child and not rank.is_launcher:
                with suppress(OSError):
                    self._handles[os.pidfd_open(member.pid)] = member.pid
                    self.ranks[member.pid] = member.rank
                    self.parents[member.pid] = procfs.parent_of(member.pid)

    def wait(self, seconds: float) -> int | None:
        """The first of those with a name that ends meanwhile, None when the time is up."""
        poll = select.poll()
        for handle in self._handles:
            poll.register(handle, select.POLLIN)
        ended = poll.poll(seconds * 1000)
        return self._handles[ended[0][0]] if ended else None

    def strike(self, pid: int) -> None:
        """One that has ended is no more to be waited for."""
        for handle in [handle for handle, one in self._handles.items() if one == pid]:
            del self._handles[handle]
            os.close(handle)

    def forget(self) -> None:
        for pid in list(self.ranks):
            self.strike(pid)
        self.ranks.clear()
        self.parents.clear()
