"""From processes seen to jobs: who belongs together, and which rank each one is. Pure.

A process belongs to the job that it names. One that names none belongs to the job whose cluster names the
address that it serves, or to the job of the parent that forked it. What is left over and has a framework loaded
makes up jobs by its connections.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from diagnostics.discover.addresses import is_local, port_of
from diagnostics.discover.groups import Named, connected, named_group
from diagnostics.discover.kinship import ancestors, is_helper, is_launcher
from diagnostics.discover.scan import Seen
from diagnostics.model import Record
from diagnostics.model.rank import child, parse, process


class Member(Record, frozen=True):
    """A process of a job. `why` says how its rank is known."""

    pid: int
    rank: str
    why: str
    command: tuple[str, ...] = ()
    uid: int = -1


class Peer(Record, frozen=True):
    """The other end of a member's connections that belongs to no rank. `pid` is 0 where it is not on this machine."""

    address: str
    of: tuple[str, ...]
    pid: int = 0
    command: tuple[str, ...] = ()


class Job(Record, frozen=True):
    """A job with its processes on this machine; `expected` are all its ranks, `elsewhere` those of other hosts.

    `absent`: ranks that ought to be on this machine and are not: they have ended, or were never started.
    """

    id: str
    members: tuple[Member, ...]
    expected: tuple[str, ...] = ()
    elsewhere: tuple[tuple[str, str], ...] = ()  # (rank, address)
    absent: tuple[str, ...] = ()
    peers: tuple[Peer, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        here = {member.rank for member in self.members}
        return tuple(rank for rank in self.expected if rank not in here)


def find_jobs(seen: Sequence[Seen], local_hosts: frozenset[str] = frozenset()) -> tuple[Job, ...]:
    """The jobs among the processes seen, largest first.

    Args:
        local_hosts: names and addresses of this machine; loopback counts always.
    """
    by_pid = {process.pid: process for process in seen if not process.ended}
    found: dict[str, Named] = defaultdict(dict)
    for job, pid, rank, why in _identified(by_pid):
        found[job][pid] = rank, why
    addresses, expected = _addresses(seen), _expected(seen)
    here = {p.identity.job for p in seen if p.identity and p.identity.here}
    here |= {job for job, members in found.items() if _is_linked_to_nobody_else([by_pid[pid] for pid in members])}
    taken = {pid for members in found.values() for pid in members}
    free = [
        p for p in by_pid.values()
        if p.pid not in taken and (p.framework or p.recorder_rank) and not _has_its_parents_rank(p, by_pid)
    ]  # fmt: skip
    for members in connected([p for p in free if not is_helper(p, by_pid)]):
        pids = {member.pid for member in members}
        group = named_group(members, [p for p in seen if p.ended and p.parent in pids])
        found[group.job] |= group.named
        addresses.setdefault(group.job, dict(group.addresses))
        expected.setdefault(group.job, group.expected)
        here |= {group.job} if group.here else set()
    for job, known in addresses.items():
        _name_by_address(found[job], known, list(by_pid.values()), local_hosts)
    served = {port_of(address) for process in by_pid.values() for address in process.listens}
    jobs = []
    for name, named in found.items():
        if named:
            known = addresses.get(name, {})
            gone = {rank for rank, a in known.items() if is_local(a, local_hosts) and port_of(a) not in served}
            gone |= set(expected.get(name, ())) if name in here else set()
            jobs.append(_job(name, named, {p.pid: p for p in seen}, expected.get(name, ()), known, gone))
    return tuple(sorted(jobs, key=lambda job: (-len(job.members), job.id)))


def _job(
    name: str, named: Named, by_pid: Mapping[int, Seen], expected: tuple[str, ...],
    addresses: Mapping[str, str], gone: set[str],
) -> Job:  # fmt: skip
    """`gone`: ranks of this machine, unless they are among the members."""
    _add_children(named, by_pid)
    ranks = {rank for rank, _ in named.values()}
    away, accounted = gone - ranks, ranks | gone
    return Job(
        id=name,
        members=tuple(
            Member(pid, rank, why, by_pid[pid].command, by_pid[pid].uid)
            for pid, (rank, why) in sorted(named.items(), key=lambda item: (parse(item[1][0]).is_child, item[0]))
        ),
        expected=expected,
        elsewhere=tuple((rank, a) for rank, a in addresses.items() if rank not in accounted),
        absent=tuple(rank for rank in expected if rank in away),
        peers=_unnamed_peers(named, by_pid, addresses),
    )


def _identified(by_pid: Mapping[int, Seen]) -> Iterable[tuple[str, int, str, str]]:
    """(job, pid, rank, why) for the topmost process of each identity that is not a mere launcher.

    Children inherit the environment, and with it the identity: they are the rank's children, not the rank.
    """
    for one in by_pid.values():
        identity = one.identity
        if identity is None or not identity.job or is_launcher(one):
            continue
        if _has_its_parents_rank(one, by_pid):
            continue
        rank = one.recorder_rank or identity.rank or str(process(one.pid))
        yield identity.job, one.pid, rank, "recorder" if one.recorder_rank else identity.source


def _has_its_parents_rank(one: Seen, by_pid: Mapping[int, Seen]) -> bool:
    """Whether one above it says the same rank. Else they may differ: a program changes its environment as it runs."""
    if one.identity is None or not one.identity.job:
        return False
    name = one.identity.job, one.identity.rank
    above = [each.identity for each in ancestors(one, by_pid) if not is_launcher(each)]
    return any(name == (identity.job, identity.rank) for identity in above if identity)


def _addresses(seen: Iterable[Seen]) -> dict[str, dict[str, str]]:
    """job -> rank -> address, of every job that names addresses."""
    found: dict[str, dict[str, str]] = {}
    for one in seen:
        if one.identity and one.identity.addresses:
            found.setdefault(one.identity.job, dict(one.identity.addresses))
    return found


def _is_linked_to_nobody_else(members: Sequence[Seen]) -> bool:
    """Whether they are connected, and all that they are connected to is among them: nobody has come from elsewhere."""
    links = {link for one in members for link in one.links}
    return len(members) > 1 and bool(links) and all((remote, local) in links for local, remote in links)


def _expected(seen: Iterable[Seen]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for one in seen:
        if one.identity and len(one.identity.expected) > len(found.get(one.identity.job, ())):
            found[one.identity.job] = one.identity.expected
    return found


def _name_by_address(members: Named, addresses: Mapping[str, str], seen: Sequence[Seen], local: frozenset[str]) -> None:
    """Whoever serves the address that the cluster names `ps:1` is `ps:1`, whatever it says itself."""
    servers: dict[str, list[Seen]] = defaultdict(list)
    for one in seen:
        for address in one.listens:
            servers[port_of(address)].append(one)
    for rank, address in addresses.items():
        serving = servers.get(port_of(address), []) if is_local(address, local) else []
        if serving and not any(one.pid in members and members[one.pid][0] == rank for one in serving):
            members[serving[0].pid] = rank, f"serves {address}"


def _add_children(members: Named, by_pid: Mapping[int, Seen]) -> None:
    """Data loaders and forked helpers, named after the nearest rank above them."""
    ranks = {pid: name for pid, (name, _) in members.items()}
    for one in by_pid.values():
        if one.pid in ranks or is_launcher(one) or one.ended:
            continue
        above = next((ranks[parent.pid] for parent in ancestors(one, by_pid) if parent.pid in ranks), "")
        if above and not parse(above).is_launcher:
            members[one.pid] = str(child(above, one.pid)), f"child of {above}"


def _unnamed_peers(members: Named, by_pid: Mapping[int, Seen], addresses: Mapping[str, str]) -> tuple[Peer, ...]:
    """Who the members are connected to that is no member: offered to the user, never taken unasked."""
    serving = {port_of(address): process for process in by_pid.values() for address in process.listens}
    by_local = {local: process for process in by_pid.values() for local, _ in process.links}
    named = set(addresses.values())
    found: dict[str, tuple[Seen | None, set[str]]] = {}
    for pid, (rank, _) in members.items():
        for local, remote in by_pid[pid].links:
            same_machine = remote in by_local
            other = by_local.get(remote) or (serving.get(port_of(remote)) if same_machine else None)
            if (other and other.pid in members) or remote in named:
                continue
            # Many connections from one peer process are one peer; a peer's ephemeral port says nothing.
            incoming = local in by_pid[pid].listens or port_of(local) in {port_of(a) for a in by_pid[pid].listens}
            key = f"pid {other.pid}" if other else (remote.rpartition(":")[0] if incoming else remote)
            found.setdefault(key, (other, set()))[1].add(rank)
    return tuple(
        Peer(address=key, of=tuple(sorted(of)), pid=other.pid if other else 0, command=other.command if other else ())
        for key, (other, of) in sorted(found.items())
    )
