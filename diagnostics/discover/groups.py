"""Jobs whose processes do not say their rank: joined by their connections, named by what tells them apart. Pure.

In this order: a recorder or a title; the shape of the command lines; the order in which one parent started them; who
serves the address at which the others meet. What contradicts what the sockets show is dropped: a wrong name costs more
than none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence

from diagnostics.discover.addresses import is_loopback, port_of
from diagnostics.discover.cluster_spec import MAX_RANKS, Addresses, job_name
from diagnostics.discover.kinship import is_launcher, is_tracker
from diagnostics.discover.scan import Seen
from diagnostics.discover.shapes import Shaped, cluster_of, shaped
from diagnostics.model import Record
from diagnostics.model.rank import RankKind, launcher, parse, process, rank

_TORCH_NAME = "pt_main_thread"
"""What PyTorch calls the main threads of its workers."""

Named = dict[int, tuple[str, str]]
"""pid -> (rank, how it is known)."""


class Group(Record, frozen=True):
    """A job without a name of its own."""

    job: str
    named: Named
    expected: tuple[str, ...] = ()
    addresses: Addresses = ()
    here: bool = False


def connected(processes: Sequence[Seen]) -> list[list[Seen]]:
    """Groups of processes that are connected to each other, by address of either end, or parent and child."""
    group_of = {one.pid: {one.pid} for one in processes}
    owner = {local: one.pid for one in processes for local, _ in one.links}
    serves = {port_of(local): one.pid for one in processes for local in one.listens}
    for one in processes:
        joined = [owner[remote] for _, remote in one.links if remote in owner]
        joined += [serves[port_of(a)] for a in one.asks if is_loopback(a) and port_of(a) in serves]
        joined += [one.parent] if one.parent in group_of else []
        for other in joined:
            merged = group_of[one.pid] | group_of[other]
            for pid in merged:
                group_of[pid] = merged
    by_pid = {one.pid: one for one in processes}
    groups = {min(group): group for group in group_of.values()}
    return [[by_pid[pid] for pid in sorted(group)] for _, group in sorted(groups.items())]


def named_group(members: Sequence[Seen], ended: Sequence[Seen] = ()) -> Group:
    """The group with a rank for each member, `pid:N` where nothing tells it.

    Args:
        ended: children of members that have ended and wait for their parent to notice.
    """
    # What a launcher's command line tells is its node's number, no rank.
    by_shape = shaped({member.pid: member.command for member in members if not is_launcher(member)})
    cluster = cluster_of([s for s in by_shape.values() if s.rank], {m.pid: m.listens for m in members})
    named = _by_shape(members, by_shape, cluster)
    if not named:
        named = _by_order(members, ended)
    named |= _of_launchers(members, named)
    if not any(parse(name).index == 0 for name, _ in named.values()):
        named |= _first(members, named)
    said = {m.pid: (m.recorder_rank, "recorder") for m in members if m.recorder_rank}
    said |= {m.pid: (m.identity.rank, m.identity.source) for m in members if m.identity and m.identity.rank}
    rest = {member.pid: (str(process(member.pid)), "connections") for member in members}
    size = max((s.size for s in by_shape.values()), default=0)
    return Group(
        job_name(cluster) if cluster else f"pids-{members[0].pid}",
        rest | named | said,
        tuple(name for name, _ in cluster) or _world(named, size, {pid for pid, s in by_shape.items() if s.bare}),
        cluster,
        all(is_loopback(remote) for member in members for _, remote in member.links),
    )


def _world(named: Named, size: int, bare: Container[int] = ()) -> tuple[str, ...]:
    """All ranks up to the last that is seen, or up to the size that a command line tells.

    Of bare numbers (`bare`: the processes that have them) which begin with 1, none is known to be missing before it.
    """
    last: dict[str, int] = {}
    for one in (parse(name) for name, _ in named.values()):
        if one.kind is RankKind.RANK:
            last[one.role] = max(last.get(one.role, -1), one.index)
    if set(last) == {"worker"} and size > last["worker"]:
        last["worker"] = min(size, MAX_RANKS) - 1
    numbered = [parse(name) for pid, (name, _) in named.items() if pid in bare]
    first = 1 if not size and min((one.index for one in numbered), default=0) == 1 else 0
    return tuple(str(rank(role, number)) for role in sorted(last) for number in range(first, last[role] + 1))


def _unique(named: Named) -> bool:
    return all(count == 1 for count in Counter(name for name, _ in named.values()).values())


def _by_shape(members: Sequence[Seen], by_shape: Mapping[int, Shaped], cluster: Addresses) -> Named:
    named = {pid: (one.rank, "its command line") for pid, one in by_shape.items() if one.rank}
    if not _unique(named):
        return {}
    where = dict(cluster)
    for member in members:
        name = named.get(member.pid, ("", ""))[0]
        one = by_shape.get(member.pid)
        if not name or not one:
            continue
        served = {port_of(address) for address in member.listens}
        others = {port_of(where[other]) for other in where if other != name}
        meets = not cluster and one.address and port_of(one.address) in served
        if (name in where and served & others and port_of(where[name]) not in served) or (meets and one.index != 0):
            return {}
    return named


def _by_order(members: Sequence[Seen], ended: Sequence[Seen]) -> Named:
    """Ranks that one parent has started, in the order of their start, and those of them that have ended.

    `torch.multiprocessing.spawn` and loops over `Process` number them so. Only where each has a connection of its own,
    and the one that serves the address at which they meet, if one of them does, is the first.
    """
    pids = {member.pid for member in members}
    parents = Counter(m.parent for m in members if m.parent in pids and not is_tracker(m))
    if len(parents) != 1:
        return {}
    parent = next(iter(parents))
    started = sorted(
        (m for m in (*members, *ended) if m.parent == parent and not is_tracker(m)), key=lambda m: (m.started, m.pid)
    )
    alive = [m for m in started if not m.ended]
    programs = {m.command[0].rpartition("/")[2][:15] for m in alive} | {_TORCH_NAME}
    started = [m for m in started if not m.ended or m.command[0] in programs]
    if len(started) < 2 or len(alive) + 1 < len(pids) or not all(m.links or m.listens or m.asks for m in alive):
        return {}
    meeting = _meeting(members)
    if meeting and meeting != parent and meeting != started[0].pid:
        return {}
    how = "the order in which it was started"
    return {
        m.pid: (str(rank("worker", number)), f"{how}; it has ended" if m.ended else how)
        for number, m in enumerate(started)
    }


def _of_launchers(members: Sequence[Seen], named: Named) -> Named:
    """Parents of ranks that are none themselves, and multiprocessing's own helpers."""
    parents = {member.parent for member in members if member.pid in named}
    return {
        m.pid: (str(launcher(m.pid)), "started the ranks")
        for m in members
        if m.pid not in named and (m.pid in parents or is_launcher(m))
    }


def _meeting(members: Sequence[Seen]) -> int:
    """Who serves the one address that all the others are connected to; 0 where that is nobody, or several."""
    serving = {port_of(address): member.pid for member in members for address in member.listens}
    asks = {m.pid: {port_of(address) for address in (*m.asks, *(remote for _, remote in m.links))} for m in members}
    found = {
        pid
        for port, pid in serving.items()
        if all(port in asks[m.pid] for m in members if m.pid != pid and (m.links or m.asks)) and len(members) > 1
    }
    return found.pop() if len(found) == 1 else 0


def _first(members: Sequence[Seen], named: Named) -> Named:
    """In PyTorch, who serves the address at which all meet is the first rank, unless it is a launcher."""
    family = any(member.parent in {m.pid for m in members} for member in members)
    pid = 0 if family else _meeting([m for m in members if m.framework == "torch"])
    if not pid or pid in named or any(parse(name).kind is RankKind.RANK for name, _ in named.values()):
        return {}
    return {pid: ("worker:0", "serves the address at which all meet")}
