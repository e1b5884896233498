"""Who belongs to the job that is watched, and what they are called, while they are there to be asked."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from diagnostics.collector import procfs
from diagnostics.discover.scan import all_pids
from diagnostics.discover.selectors import select as choose
from diagnostics.errors import LastbatchError
from diagnostics.model.rank import parse
from diagnostics.watching.deaths import Deaths


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
    """The names of a job's ranks, asked for when its members have settled; tells at once when one of them ends."""

    def __init__(self, roots: Iterable[int]) -> None:
        self._roots = frozenset(roots)
        self._members: frozenset[int] = frozenset()
        self._since = self._asked = time.monotonic()
        self._named: frozenset[int] = frozenset()
        self.ranks: dict[int, str] = {}
        self.parents: dict[int, int] = {}
        self.deaths = Deaths()

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
                parent = procfs.parent_of(member.pid)
                # Whoever adopts what others leave behind is no launcher.
                if self.deaths.watch(member.pid, parent if parent in members else 0):
                    self.ranks[member.pid] = member.rank
                    self.parents[member.pid] = parent

    def forget(self) -> None:
        self.deaths.forget()
        self.ranks.clear()
        self.parents.clear()
