"""What holds between the ranks of a job whatever state each of them is in. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from diagnostics.analyze.absent import Absent, absent_ranks
from diagnostics.analyze.process_groups import Group, groups_of, numbered, unmet
from diagnostics.model import Collection, Partner


class Relations:
    """Asked once, since the states of the ranks are judged by it, and who waits for whom is told by it afterwards."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._processes = collection.processes

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Process groups, as the members' frameworks recorded them."""
        return groups_of(self._processes)

    @cached_property
    def groups_by_label(self) -> Mapping[str, list[Group]]:
        found: dict[str, list[Group]] = {}
        for group in self.groups:
            found.setdefault(group.label, []).append(group)
        return found

    @cached_property
    def absent(self) -> tuple[Absent, ...]:
        """Ranks that are not there, known from what others hold of them."""
        return absent_ranks(self._collection)

    @cached_property
    def unmet(self) -> Mapping[tuple[str, int], Partner]:
        """(rank, thread) -> whom it sends to or receives from in vain."""
        return unmet(self._processes)

    @cached_property
    def numbers(self) -> Mapping[int, str]:
        """Number in the job -> what the rank is called."""
        return numbered(self._processes)
