"""What a user types to name processes: `4711`, `job:ID`, `job:ID/RANK`, `port:2222`, `cmd:train.py`, `slurm:77`,
`yarn:application_1410901177871_0001`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from diagnostics.collector import procfs
from diagnostics.discover.addresses import local_hosts
from diagnostics.discover.jobs import Job, Member, find_jobs
from diagnostics.discover.kinship import ancestors, is_launcher, is_tracker
from diagnostics.discover.scan import Seen, scan
from diagnostics.errors import MissingError, UsageError
from diagnostics.model import Record
from diagnostics.model.rank import RankKind, child, launcher, parse, process

BATCH = ("slurm:", "yarn:")
KINDS = ("job:", "port:", "cmd:", *BATCH)


class Selection(Record, frozen=True):
    """The processes chosen, in order, and the ranks that their jobs should have."""

    members: tuple[Member, ...]
    expected: tuple[str, ...] = ()
    jobs: tuple[Job, ...] = ()


def jobs_here() -> tuple[Job, ...]:
    return find_jobs(scan(), local_hosts())


def select(words: Sequence[str], with_children: bool = True, with_peers: bool = False) -> Selection:
    """The processes that the user named; without words the one job that there is.

    Raises:
        UsageError: a word that names nothing, or nothing named and more than one job to choose from.
        MissingError: nothing named, and no job seen.
    """
    states = {word: procfs.state_of(int(word)) for word in words if word.isdigit()}
    for word, state in states.items():
        if not state or (state == "Z" and len(words) == 1):
            raise UsageError(
                f"process {word} {'has ended (zombie)' if state else 'does not exist'}",
                "Look it up with: pgrep -af python, or lastbatch attach --list",
            )
    seen = scan()
    return choose(words, seen, find_jobs(seen, local_hosts()), with_children, with_peers)


def choose(
    words: Sequence[str],
    seen: Sequence[Seen],
    jobs: Sequence[Job],
    with_children: bool = True,
    with_peers: bool = False,
) -> Selection:
    """As `select`, among what was seen on any host. Pure."""
    for word in words:
        if not word.isdigit() and not word.startswith(KINDS):
            raise UsageError(
                f"{word!r} is not a process id, nor a selector",
                "Give a PID, job:ID, port:2222, cmd:train.py, slurm:77, k8s:pod/NAME, yarn:application_...; see --list",
            )
    if not words:
        only = _only(jobs)
        return Selection(_kept(only.members, (), with_children), only.expected, only.jobs)
    members = [_as_launcher(member, seen, jobs) for word in words for member in _named(word, seen, jobs)]
    chosen = {member.pid: member for member in _kept(members, words, with_children)}
    if with_children:
        chosen |= _children(chosen, seen, jobs)
    touched = tuple(job for job in jobs if any(member.pid in chosen for member in job.members))
    if with_peers:
        chosen |= {
            p.pid: Member(p.pid, str(process(p.pid)), "peer", p.command) for j in touched for p in j.peers if p.pid
        }
    # Who names processes one by one has not asked for the whole job; what ought to be here is missed.
    whole = [job for job in touched if any(word == f"job:{job.id}" or word.startswith(BATCH) for word in words)]
    missed = [rank for job in touched for rank in (job.expected if job in whole else job.absent)]
    return Selection(tuple(chosen.values()), tuple(dict.fromkeys(missed)), touched)


def _as_launcher(member: Member, seen: Sequence[Seen], jobs: Sequence[Job]) -> Member:
    """A process that has no rank itself and has started ranks. Its tree is the job."""
    if parse(member.rank).kind in (RankKind.RANK, RankKind.CHILD, RankKind.LAUNCHER):
        return member
    by_pid = {one.pid: one for one in seen}
    ranks = {m.pid for job in jobs for m in job.members if parse(m.rank).kind is RankKind.RANK}
    own = by_pid.get(member.pid)
    works = ranks if own is None or not is_launcher(own) else ranks | {one.pid for one in seen if one.framework}
    if any(member.pid in {above.pid for above in ancestors(by_pid[pid], by_pid)} for pid in works if pid in by_pid):
        return msgspec.structs.replace(member, rank=str(launcher(member.pid)), why="started the ranks")
    return member


def _kept(members: Sequence[Member], words: Sequence[str], with_children: bool) -> tuple[Member, ...]:
    """Without children, where none are wanted, but for those that were named by their process id."""
    return tuple(
        member for member in members if with_children or str(member.pid) in words or not parse(member.rank).is_child
    )


def _only(jobs: Sequence[Job]) -> Selection:
    if not jobs:
        raise MissingError("no job is seen on this machine", "Give PIDs, e.g. lastbatch attach $(pgrep -f train.py)")
    if len(jobs) > 1:
        names = ", ".join(f"job:{job.id}" for job in jobs[:6])
        raise UsageError(
            f"there are {len(jobs)} jobs on this machine: {names}", "Name one; see lastbatch attach --list"
        )
    return Selection(jobs[0].members, jobs[0].expected, (jobs[0],))


def _named(word: str, seen: Sequence[Seen], jobs: Sequence[Job]) -> list[Member]:
    known = {member.pid: member for job in jobs for member in job.members}

    def members(processes: list[Seen], what: str) -> list[Member]:
        if not processes:
            raise UsageError(f"no process {what}", "See lastbatch attach --list")
        return [known.get(p.pid) or Member(p.pid, "", "named by the user", p.command, p.uid) for p in processes]

    kind, _, rest = word.partition(":")
    if word.isdigit():
        pid = int(word)
        command = next((process.command for process in seen if process.pid == pid), ())
        return [known.get(pid) or Member(pid, "", "named by the user", command)]
    if kind == "port" and not rest.isdigit():
        raise UsageError(f"{rest!r} is no port", "Give its number: port:2222")
    if kind == "port":
        return members([p for p in seen if any(a.endswith(f":{rest}") for a in p.listens)], f"listens on port {rest}")
    if kind == "cmd":
        return members([p for p in seen if rest in " ".join(p.command)], f"has {rest!r} in its command line")
    if word.startswith(BATCH):
        of_it = [p for p in seen if p.batch == word and not is_launcher(p) and not p.ended]
        ranks = [known[p.pid] for p in of_it if p.pid in known and parse(known[p.pid].rank).kind is RankKind.RANK]
        return ranks or members(of_it, f"of {word} is seen here")
    return _of_job(rest, jobs)


def _of_job(text: str, jobs: Sequence[Job]) -> list[Member]:
    name, _, rank = text.partition("/")
    found = [job for job in jobs if job.id == name] or [job for job in jobs if job.id.startswith(name)]
    if len(found) != 1:
        seen = ", ".join(f"job:{job.id}" for job in (found or jobs)[:6]) or "none"
        raise UsageError(f"{'several jobs are' if found else 'no job is'} called {name!r} (seen: {seen})", "See --list")
    members = [member for member in found[0].members if not rank or member.rank == rank]
    if not members:
        raise UsageError(f"job:{found[0].id} has no rank {rank!r} on this machine", "See lastbatch attach --list")
    return members


def _children(chosen: dict[int, Member], seen: Sequence[Seen], jobs: Sequence[Job]) -> dict[int, Member]:
    """Whatever the chosen processes started, also where no job is known. What a launcher started is nobody's child.

    Of what has ended, helpers that did not end well: others may wait for what they were to send.
    """
    known = {member.pid: member for job in jobs for member in job.members}
    by_pid = {one.pid: one for one in seen if not one.ended or one.pid in known or one.status}
    names = {pid: member.rank or str(process(pid)) for pid, member in (known | chosen).items()}
    found: dict[int, Member] = {}
    for one in sorted(by_pid.values(), key=lambda one: one.started):
        line = [above.pid for above in ancestors(one, by_pid)]
        if one.pid in chosen or not any(pid in chosen for pid in line):
            continue
        above = next(pid for pid in line if pid in names)
        works = parse(names[above]).is_launcher and not is_tracker(one)
        if works and one.ended and one.pid not in known:
            continue
        name = process(one.pid) if works else child(names[above], one.pid)
        found[one.pid] = known.get(one.pid) or Member(one.pid, str(name), "child", one.command, one.uid)
    return found
