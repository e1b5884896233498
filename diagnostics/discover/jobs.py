"""From processes seen to jobs: who belongs together, and which rank each one is. Pure.

A process belongs to the job that it names. One that names none belongs to the job whose cluster names the
address that it serves, or to the job of the parent that forked it. What is left over and has a framework loaded
makes up jobs by its connections.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from diagnostics.discover.scan import Seen
from diagnostics.model import Record

_LAUNCHERS = re.compile(
    r"(?:^|/)(?:(?:ba|da|z|k)?sh|env|sudo|timeout|nohup|tini|dumb-init|srun|mpirun|setsid|stdbuf|flock|time|strace|script)$"
)
_TORCH_LAUNCHER = re.compile(r"(?:^|/)torchrun$|^torch\.distributed\.(?:run|launch)$")


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
    """A job with its processes on this machine; `expected` are all its ranks, `elsewhere` those of other hosts."""

    id: str
    members: tuple[Member, ...]
    expected: tuple[str, ...] = ()
    elsewhere: tuple[tuple[str, str], ...] = ()  # (rank, address)
    peers: tuple[Peer, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        here = {member.rank for member in self.members}
        return tuple(rank for rank in self.expected if rank not in here)


def child_name(rank: str, pid: int) -> str:
    """`child/worker:0/4711`: not itself a worker, and told whose it is."""
    return f"child/{rank}/{pid}"


def find_jobs(seen: Sequence[Seen], local_hosts: frozenset[str] = frozenset()) -> tuple[Job, ...]:
    """The jobs among the processes seen, largest first.

    Args:
        local_hosts: names and addresses of this machine; loopback counts always.
    """
    by_pid = {process.pid: process for process in seen}
    found: dict[str, dict[int, tuple[str, str]]] = defaultdict(dict)
    for job, pid, rank, why in _identified(by_pid):
        found[job][pid] = rank, why
    addresses = _addresses(seen)
    for job, known in addresses.items():
        _name_by_address(found[job], known, seen, local_hosts)
    taken = {pid for members in found.values() for pid in members}
    free = [p for p in seen if p.pid not in taken and (p.framework or p.recorder_rank)]
    for group in _connected([p for p in free if not _is_helper(p, by_pid)]):
        found[f"pids-{group[0].pid}"] = {
            p.pid: (p.recorder_rank or f"pid:{p.pid}", "recorder" if p.recorder_rank else "connections") for p in group
        }
    expected = _expected(seen)
    jobs = [
        _job(name, members, by_pid, expected.get(name, ()), addresses.get(name, {}))
        for name, members in found.items()
        if members
    ]
    return tuple(sorted(jobs, key=lambda job: (-len(job.members), job.id)))


def _job(
    name: str, members: dict[int, tuple[str, str]], by_pid: Mapping[int, Seen],
    expected: tuple[str, ...], addresses: Mapping[str, str],
) -> Job:  # fmt: skip
    _add_children(members, by_pid)
    ranks = {rank for rank, _ in members.values()}
    return Job(
        id=name,
        members=tuple(
            Member(pid, rank, why, by_pid[pid].command, by_pid[pid].uid)
            for pid, (rank, why) in sorted(members.items(), key=lambda item: (item[1][0].startswith("child/"), item[0]))
        ),
        expected=expected,
        elsewhere=tuple((rank, address) for rank, address in addresses.items() if rank not in ranks),
        peers=_unnamed_peers(members, by_pid, addresses),
    )


def _is_launcher(process: Seen) -> bool:
    words = process.command[:3]
    return bool(words) and (bool(_LAUNCHERS.search(words[0])) or any(_TORCH_LAUNCHER.search(word) for word in words))


def _identified(by_pid: Mapping[int, Seen]) -> Iterable[tuple[str, int, str, str]]:
    """(job, pid, rank, why) for the topmost process of each identity that is not a mere launcher.

    Children inherit the environment, and with it the identity: they are the rank's children, not the rank.
    """
    for process in by_pid.values():
        identity = process.identity
        if identity is None or not identity.job or _is_launcher(process):
            continue
        if any(above.identity == identity and not _is_launcher(above) for above in ancestors(process, by_pid)):
            continue
        rank = process.recorder_rank or identity.rank or f"pid:{process.pid}"
        yield identity.job, process.pid, rank, "recorder" if process.recorder_rank else identity.source


def ancestors(process: Seen, by_pid: Mapping[int, Seen]) -> Iterable[Seen]:
    walked: set[int] = set()
    parent = by_pid.get(process.parent)
    while parent and parent.pid not in walked:
        walked.add(parent.pid)
        yield parent
        parent = by_pid.get(parent.parent)


def _addresses(seen: Iterable[Seen]) -> dict[str, dict[str, str]]:
    """job -> rank -> address, of every job that names addresses."""
    found: dict[str, dict[str, str]] = {}
    for process in seen:
        if process.identity and process.identity.addresses:
            found.setdefault(process.identity.job, dict(process.identity.addresses))
    return found


def _expected(seen: Iterable[Seen]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for process in seen:
        if process.identity and len(process.identity.expected) > len(found.get(process.identity.job, ())):
            found[process.identity.job] = process.identity.expected
    return found


def _port(address: str) -> str:
    return address.rpartition(":")[2]


def _is_local(address: str, local_hosts: frozenset[str]) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    return host in local_hosts or host in ("localhost", "::1", "0.0.0.0", "") or host.startswith("127.")


def _name_by_address(
    members: dict[int, tuple[str, str]], addresses: Mapping[str, str], seen: Sequence[Seen], local: frozenset[str]
) -> None:
    """Whoever serves the address that the cluster names `ps:1` is `ps:1`, whatever it says itself."""
    servers: dict[str, list[Seen]] = defaultdict(list)
    for process in seen:
        for address in process.listens:
            servers[_port(address)].append(process)
    for rank, address in addresses.items():
        serving = servers.get(_port(address), []) if _is_local(address, local) else []
        if serving and not any(process.pid in members and members[process.pid][0] == rank for process in serving):
            members[serving[0].pid] = rank, f"serves {address}"


def _add_children(members: dict[int, tuple[str, str]], by_pid: Mapping[int, Seen]) -> None:
    """Data loaders and forked helpers, named after the nearest rank above them."""
    ranks = dict(members)
    for process in by_pid.values():
        if process.pid in ranks or _is_launcher(process):
            continue
        above = next((parent for parent in ancestors(process, by_pid) if parent.pid in ranks), None)
        if above:
            members[process.pid] = child_name(ranks[above.pid][0], process.pid), f"child of {ranks[above.pid][0]}"


def _is_helper(process: Seen, by_pid: Mapping[int, Seen]) -> bool:
    """A data loader's worker: it has its parent's recorder and sockets by the fork, and no connection of its own.

    A rank that a program starts for itself has.
    """
    parent = by_pid.get(process.parent)
    if parent is None or not parent.framework:
        return False
    inherited = {*parent.links, *parent.listens}
    return process.recorder_rank in ("", parent.recorder_rank) and {*process.links, *process.listens} <= inherited


def _unnamed_peers(
    members: Mapping[int, tuple[str, str]], by_pid: Mapping[int, Seen], addresses: Mapping[str, str]
) -> tuple[Peer, ...]:
    """Who the members are connected to that is no member: offered to the user, never taken unasked."""
    serving = {_port(address): process for process in by_pid.values() for address in process.listens}
    by_local = {local: process for process in by_pid.values() for local, _ in process.links}
    named = set(addresses.values())
    found: dict[str, tuple[Seen | None, set[str]]] = {}
    for pid, (rank, _) in members.items():
        for local, remote in by_pid[pid].links:
            same_machine = remote in by_local
            other = by_local.get(remote) or (serving.get(_port(remote)) if same_machine else None)
            if (other and other.pid in members) or remote in named:
                continue
            # Many connections from one peer process are one peer; a peer's ephemeral port says nothing.
            incoming = local in by_pid[pid].listens or _port(local) in {_port(a) for a in by_pid[pid].listens}
            key = f"pid {other.pid}" if other else (remote.rpartition(":")[0] if incoming else remote)
            found.setdefault(key, (other, set()))[1].add(rank)
    return tuple(
        Peer(address=key, of=tuple(sorted(of)), pid=other.pid if other else 0, command=other.command if other else ())
        for key, (other, of) in sorted(found.items())
    )


def _connected(processes: Sequence[Seen]) -> list[list[Seen]]:
    """Groups of processes that are connected to each other, by address of either end."""
    group_of = {process.pid: {process.pid} for process in processes}
    owner = {local: process.pid for process in processes for local, _ in process.links}
    pids = {process.pid for process in processes}
    for process in processes:
        joined = [owner[remote] for _, remote in process.links if remote in owner]
        joined += [process.parent] if process.parent in pids else []
        for other in joined:
            merged = group_of[process.pid] | group_of[other]
            for pid in merged:
                group_of[pid] = merged
    by_pid = {process.pid: process for process in processes}
    groups = {min(group): group for group in group_of.values()}
    return [[by_pid[pid] for pid in sorted(group)] for _, group in sorted(groups.items())]
