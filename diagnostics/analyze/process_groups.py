"""Ranks times process groups: how far each member has come in each group, and who waits there for whom. Pure.

A framework numbers the collectives of a group, so of two members that one is behind whose newest number is lower: who
waits in collective 7 waits for every member that has not called it. That holds in any number of groups, without being
told their order. Ranks that wait for each other in a circle do so in several groups: within one, numbers are in order.

The cost grows with the number of members of all groups together.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

from diagnostics.analyze.recorded import Records, records_of
from diagnostics.analyze.wait_graph import cycles
from diagnostics.model import Collective, Partner, Process, ProcessGroup, Role
from diagnostics.model.rank import RankKind, parse
from diagnostics.stacks.position import main_position
from diagnostics.stacks.spoken import partner_is_to

_SEQ = attrgetter("seq")
_WAITS = (Role.COLLECTIVE, Role.BARRIER)


class Member(NamedTuple):
    """A rank in a group. `last`: number of the newest collective that it called, 0 for none."""

    rank: str
    last: int
    waits: Collective | None = None  # the one that it stands in

    @property
    def number(self) -> int:
        return self.waits.seq if self.waits else -1


class Group(NamedTuple):
    """What is known of a process group. `size`: of all its members, -1 where that is not known.

    `unseen`: members of which it is not known how far they have come.
    """

    label: str
    size: int
    members: Mapping[str, Member]
    unseen: tuple[str, ...] = ()

    @property
    def coverage(self) -> str:
        """`3 of 4 ranks`; "" where all are known, or it is not known how many there are."""
        known = len(self.members)
        return f"{known} of {self.size} ranks" if 0 <= known < self.size else ""

    def behind(self, number: int) -> tuple[str, ...]:
        """Members that have not called this collective."""
        return tuple(member.rank for member in self.members.values() if member.last < number)


class Hop(NamedTuple):
    """`rank` waits in a collective of a group, to which `behind` has not come: its newest there is `last`."""

    rank: str
    group: Group
    collective: Collective
    behind: str
    last: int


def groups_of(processes: Sequence[Process]) -> tuple[Group, ...]:
    """The groups of which at least one member is known, by label and members."""
    names = numbered(processes)
    role = _commonest_role(processes)
    records = records_of(processes)
    drafts: dict[_Key, dict[str, Member]] = {}
    for process in processes:
        known = {group.group: group for group in process.groups}
        for label, member in _members(process, records).items():
            drafts.setdefault(_key(label, known.get(label)), {})[process.rank] = member
    _join_unknown(drafts)
    ranks = {_key(group.group, group): group.ranks for process in processes for group in process.groups}
    return tuple(
        Group(key.label, key.size, members, tuple(_unseen(ranks.get(key, ()), members, names, role)))
        for key, members in drafts.items()
    )


class _Key(NamedTuple):
    """What tells groups apart that are called alike: which ranks they have, without comparing them all."""

    label: str
    size: int = -1
    first: int = -1
    last: int = -1


def _key(label: str, group: ProcessGroup | None) -> _Key:
    if group is None or not group.ranks:
        return _Key(label, group.size if group else -1)
    return _Key(label, len(group.ranks), group.ranks[0], group.ranks[-1])


def _join_unknown(drafts: dict[_Key, dict[str, Member]]) -> None:
    """Members that do not know the others belong to the one group of that name, if there is one."""
    known: dict[str, list[_Key]] = {}
    for key in drafts:
        if key.first >= 0:
            known.setdefault(key.label, []).append(key)
    for lone in [key for key in drafts if key.first < 0]:
        same = known.get(lone.label, [])
        if len(same) == 1:
            drafts[same[0]].update(drafts.pop(lone))


def _unseen(ranks: Iterable[int], members: Container[str], names: Mapping[int, str], role: str) -> Iterator[str]:
    for one in ranks:
        name = names.get(one) or f"{role}:{one}"
        if name not in members:
            yield name


def unmet(processes: Sequence[Process]) -> dict[tuple[str, int], Partner]:
    """(rank, thread) -> whom it sends to or receives from, where that one is in no call that would end it.

    Who receives needs a send of the other's, and the other way round; of ranks that were not seen nothing is known.
    """
    numbers = {process.rank: _number(process) for process in processes}
    known = {number: process for process in processes if (number := numbers[process.rank]) >= 0}
    return {
        (process.rank, one.tid): one
        for process in processes
        for one in process.partners
        if (other := known.get(one.rank)) is not None
        and not any(
            back.rank == numbers[process.rank] and partner_is_to(back.operation) != partner_is_to(one.operation)
            for back in other.partners
        )
    }


def numbered(processes: Iterable[Process]) -> dict[int, str]:
    """Number in the job -> what the rank is called."""
    return {number: process.rank for process in processes if (number := _number(process)) >= 0}


def waits_in(process: Process) -> Collective | None:
    """The collective that it stands in, as its framework recorded it; None where it is in none that is known."""
    main = main_position(process)
    if main is None or not main.has(*_WAITS) or main.number < 0:
        return None
    return next((o for o in process.collectives if o.group == main.group and o.seq == main.number and not o.p2p), None)


def circles(groups: Iterable[Group]) -> tuple[tuple[Hop, ...], ...]:
    """Ranks that wait for each other in a circle, each as its shortest way round."""
    inside = {member.rank: (group, member) for group in groups for member in group.members.values() if member.waits}
    graph: dict[str, frozenset[str]] = {}
    for number, group in enumerate({id(group): group for group, _ in inside.values()}.values()):
        _add(graph, f"group {number} up to", group)
    found = []
    for circle in cycles(graph):
        ranks = [name for name in circle if name in inside]
        way = _shortest(ranks, inside)
        if way:
            found.append(way)
    return tuple(found)


def _add(graph: dict[str, frozenset[str]], prefix: str, group: Group) -> None:
    """Who waits in a group, by way of nodes that stand for all who have come so far at most: edges as many as members.

    Where half of 4,096 members wait for the other half there would be four million.
    """
    by_last: dict[int, list[str]] = {}
    for member in group.members.values():
        by_last.setdefault(member.last, []).append(member.rank)
    levels = sorted(by_last)
    below = ""
    for level in levels:
        node = f"{prefix} {level}"
        graph[node] = frozenset([*by_last[level], *([below] if below else [])])
        below = node
    for member in group.members.values():
        lower = bisect_left(levels, member.number)
        if lower:
            graph[member.rank] = frozenset([f"{prefix} {levels[lower - 1]}"])
        else:
            graph.setdefault(member.rank, frozenset())


def _shortest(ranks: Sequence[str], inside: Mapping[str, tuple[Group, Member]]) -> tuple[Hop, ...]:
    """From the first of these ranks round to itself."""
    among = set(ranks)
    hops: dict[str, Hop] = {}
    todo = list(ranks[:1])
    for rank in todo:
        for hop in _hops(rank, inside, among):
            if hop.behind == ranks[0]:
                return (*_way(rank, hops), hop)
            if hop.behind not in hops:
                hops[hop.behind] = hop
                todo.append(hop.behind)
    return ()


def _way(rank: str, hops: Mapping[str, Hop]) -> tuple[Hop, ...]:
    found: list[Hop] = []
    while rank in hops:
        found.append(hops[rank])
        rank = hops[rank].rank
    return tuple(reversed(found))


def _hops(rank: str, inside: Mapping[str, tuple[Group, Member]], among: set[str]) -> Iterable[Hop]:
    group, member = inside[rank]
    if member.waits:
        for other in group.members.values():
            if other.last < member.waits.seq and other.rank in among:
                yield Hop(rank, group, member.waits, other.rank, other.last)


def _members(process: Process, records: Records) -> dict[str, Member]:
    """Label of a group -> how far the process has come in it."""
    last = {
        label: max(map(_SEQ, called[process.rank]), default=0)
        for label in {one.group: None for one in process.collectives}
        if label and process.rank in (called := records.get(label, {}))
    }
    for group in process.groups:
        if group.enqueued < 0 and process.collectives:
            last.setdefault(group.group, 0)  # its ring was read, and nothing of this group was ever called
    waits = waits_in(process)
    return {
        label: Member(process.rank, number, waits if waits and waits.group == label and waits.seq <= number else None)
        for label, number in last.items()
    }


def _number(process: Process) -> int:
    """Its rank in the job, as its groups or its name tell; -1 where they do not."""
    for group in process.groups:
        if 0 <= group.rank < len(group.ranks):
            return group.ranks[group.rank]
    who = parse(process.rank)
    return who.index if who.kind is RankKind.RANK else -1


def _commonest_role(processes: Iterable[Process]) -> str:
    roles = Counter(who.role for process in processes if (who := parse(process.rank)).kind is RankKind.RANK)
    return roles.most_common(1)[0][0] if roles else "worker"
