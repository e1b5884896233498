"""Who waits for whom, for what, as far as the evidence carries it. Pure.

A node is a rank (where it stands: its main thread), another thread of one (`worker:0 thread 4711`), or something
outside of what was looked at: a peer's address, a file, the device, a rank that is not there. A rank that
progresses, serves or is gone waits for nobody.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from diagnostics.analyze.edges import node_at, wait_of
from diagnostics.analyze.family import Parents, has_ended, how_it_ended, launches, peers
from diagnostics.analyze.inside import HANDS_OVER, waits_inside
from diagnostics.analyze.process_groups import Group
from diagnostics.analyze.progress import MAY_BE_STUCK, silence_of
from diagnostics.analyze.relations import Relations
from diagnostics.analyze.served import held_up, serving_thread
from diagnostics.analyze.stillness import stood_still
from diagnostics.analyze.wait_graph import node_of, rank_in, thread_in
from diagnostics.discover.kinship import starts_others
from diagnostics.model import GONE, BlockingCall, Collection, Position, Process, Role, State, Wait, WaitKind
from diagnostics.model.rank import parse
from diagnostics.stacks.blocked import Names, names_of, wanted_locks, words
from diagnostics.stacks.position import classify_all, is_idle, main_position, pairs, position_of
from diagnostics.stacks.spoken import partner_is_to

_MOST = 8
"""Of one kind for one rank: what is behind a pipe that many have open is not to be found that way."""

_POLLS = (
    Role.RENDEZVOUS, Role.FILE_LOCK, Role.COLLECTIVE, Role.BARRIER, Role.DEVICE, Role.INPUT_NEXT, Role.POOL_WAIT,
)  # fmt: skip
"""Waits that run now and then, so that a thread in one need not stand still."""
_AT_LOCK = "each thread with a client's request waits for one lock"
_KINDS = {"pipe": WaitKind.PIPE, "child": WaitKind.CHILD, "socket": WaitKind.SOCKET}
_MEETS = (Role.COLLECTIVE, Role.BARRIER)


class _Job:
    """A collection with what every edge asks of it."""

    def __init__(self, collection: Collection, relations: Relations) -> None:
        self.collection = collection
        self.processes = collection.processes
        self.relations = relations
        self.names: Names = names_of(collection)
        self.peers = peers(self.processes)
        self.parents = Parents(self.processes)
        self.by_rank = {process.rank: process for process in self.processes}
        self.ranks = frozenset(self.by_rank)
        self.gone = [rank for rank in collection.expected if rank not in self.ranks]


def find_waits(collection: Collection, relations: Relations | None = None) -> tuple[Wait, ...]:
    """By framework calls, connections, pipes, children, locks, files and collectives.

    A client in RunStep waits for the peers that it is connected to; which of them, stacks do not tell, but a trace or
    its memory does.
    """
    if any(process.threads and not process.positions for process in collection.processes):
        collection = classify_all(collection)
    job = _Job(collection, relations or Relations(collection))
    waiting = [p for p in job.processes if p.state in MAY_BE_STUCK and not launches(p, job.processes)]
    escaped = [wait for process in waiting for wait in _escaped(process, collection)]
    known = {wait.rank for wait in escaped}
    found: dict[tuple[str, str], Wait] = {(wait.rank, wait.on): wait for wait in escaped}
    for process in waiting:
        for wait in _of(process, job, process.rank in known):
            found.setdefault((wait.rank, wait.on), wait)
    for wait in _of_helpers_that_run_others(job):
        found.setdefault((wait.rank, wait.on), wait)
    _add_those_of_servers(found, job)
    return tuple(found.values())


def _add_those_of_servers(found: dict[tuple[str, str], Wait], job: _Job) -> None:
    """A server that is idle by itself, and is asked for an answer, waits for what the thread that serves waits for."""
    todo = list(found.values())
    while todo:
        asked = todo.pop()
        server = job.by_rank.get(rank_in(asked.on))
        if asked.kind is not WaitKind.SOCKET or server is None or server.state not in (State.IDLE, State.HUNG):
            continue
        for wait in _of_server(server, thread_in(asked.on), job):
            if (wait.rank, wait.on) not in found:
                found[wait.rank, wait.on] = wait
                todo.append(wait)


def _of_server(server: Process, tid: int, job: _Job) -> Iterator[Wait]:
    main = main_position(server)
    position = position_of(server, tid) if tid else main
    call = next((one for one in server.blocking_calls if position and one.tid == position.tid), None)
    if position is None or not _stands(server, position.tid) or launches(server, job.processes):
        return
    if tid and (held := held_up(server)):
        names = [job.names[server.host, pid] for pid in held.clients if (server.host, pid) in job.names]
        for other in (name for name in names if not _wakes_nobody(job.by_rank[name])):
            said = "a lock there, which it may have: it is connected, and does not wait for it"
            yield wait_of(server, position, other, said, WaitKind.LOCK)
    elif tid or (call is not None and call.peer):
        yield from _of_thread(server, position, call, job, step_is_known=True)


def _of_helpers_that_run_others(job: _Job) -> Iterator[Wait]:
    """A rank's helper that is a shell, `timeout` or the like waits for what it runs."""
    for process in job.processes:
        if parse(process.rank).is_child and launches(process, job.processes):
            runs = [child for child in job.parents.children_of(process) if not has_ended(child)]
            for child in runs[:_MOST]:
                yield Wait(process.rank, child.rank, f"the end of {child.rank}", kind=WaitKind.CHILD)


def _escaped(process: Process, collection: Collection) -> Iterator[Wait]:
    for call in collection.trace.escaped if collection.trace else ():
        if call.rank == process.rank and call.peer and not call.came_back:
            asked = f" of {call.tensor.split(';')[3]}" if call.tensor.count(";") >= 3 else ""
            said = f"a receive{asked} that was aborted in vain, and never came back"
            yield Wait(call.rank, call.peer, said, kind=WaitKind.STEP)


def _of(process: Process, job: _Job, step_is_known: bool) -> Iterator[Wait]:
    calls = {call.tid: call for call in process.blocking_calls}
    main = main_position(process)
    if main and not process.threads:  # what it recorded is all that is known
        yield from _for_absent(process, main, job)
    for _, position in pairs(process):
        waits = position.tid == main.tid if main else False  # it may poll: a join with a limit, again and again
        waits = waits or position.has(*_POLLS) or position.waits is WaitKind.GIL
        if not is_idle(position) and (waits or _stands(process, position.tid)):
            yield from _of_thread(process, position, calls.get(position.tid), job, step_is_known)
    unread = {call.tid for call in process.blocking_calls} - {thread.tid for thread in process.threads}
    for tid in sorted(unread):
        if _stands(process, tid):
            yield from _by_call(process, Position(tid=tid), calls[tid], job)


def _stands(process: Process, tid: int) -> bool:
    return stood_still(process, tid) or len(process.samples) < 2


def _of_thread(
    process: Process, position: Position, call: BlockingCall | None, job: _Job, step_is_known: bool
) -> Iterator[Wait]:
    if position.holder:
        said = "the interpreter lock, which it holds"
        if position.waits is not WaitKind.GIL:
            said = "a lock, which it holds"
        yield wait_of(process, position, node_at(process, position.holder), said, position.waits)
        return
    if partner := job.relations.unmet.get((process.rank, position.tid)):
        who = job.relations.numbers[partner.rank]
        owed = partner_is_to(partner.operation)
        said = f"in {position.operation or partner.operation}, and it is in no {owed} for it"
        yield wait_of(process, position, who, said, WaitKind.COLLECTIVE)
    elif related := list(_for_relatives(process, position, job)):
        yield from related
    elif position.has(*_MEETS):
        yield from _for_absent(process, position, job)
    elif position.has(Role.KEY):
        yield from _for_key(process, position, job)
    elif position.has(Role.RENDEZVOUS):
        yield from _for_missing(process, position, job)
    elif position.has(Role.STEP) or (position.has(Role.TEARDOWN) and position.waits is WaitKind.STEP):
        lost = list(_for_lost(process, position, job))
        yield from lost or (() if step_is_known else _in_step(process, position))
    else:
        direct = list(_for_answer(process, position, job))
        direct += _by_call(process, position, call, job) if call and not direct else []
        direct += _for_lock_files(process, position, job)
        yield from direct or waits_inside(process, position, job.parents)


def _for_absent(process: Process, position: Position, job: _Job) -> Iterator[Wait]:
    """Who waits in a collective waits for the ranks that have not come to it, if these are few."""
    groups = job.relations.groups_by_label.get(position.group, ())
    group = next((one for one in groups if process.rank in one.members), None)
    if group is not None and position.number >= 0 and len(group.members) > 1:
        yield from _for_members(process, position, group, job.ranks)
    else:
        yield from _for_elsewhere(process, position, job)


def _for_members(process: Process, position: Position, group: Group, seen: Container[str]) -> Iterator[Wait]:
    """By the numbers of the group's members; for those of which nothing is known only where nobody else is behind."""
    said = f"in {position.operation or 'a collective'} {position.number} of group {group.label}"
    behind = group.behind(position.number)
    for other in behind[:_MOST]:
        last = group.members[other].last
        come = f"to which it has not come: it called {last}" if last else "to which it has not come"
        yield wait_of(process, position, other, f"{said}, {come}", WaitKind.COLLECTIVE)
    if not behind:
        for other in group.unseen[:_MOST]:
            how = "how far it has come is not known" if other in seen else "it was not seen at all"
            yield wait_of(process, position, other, f"{said}; {how}", WaitKind.COLLECTIVE)


def _for_elsewhere(process: Process, position: Position, job: _Job) -> Iterator[Wait]:
    """By where the others stand."""
    others = (other for other in job.peers if other is not process and _is_placed(other))
    absent = [other for other in others if not _meets(other, position)]
    same_role = [other for other in absent if parse(other.rank).role == parse(process.rank).role]
    operation = position.operation or "a collective"
    if len(same_role) <= _MOST:
        for other in same_role:
            said = f"in {operation}, to which it has not come"
            yield wait_of(process, position, other.rank, said, WaitKind.COLLECTIVE)
    for rank in job.gone[:_MOST]:
        if not parse(rank).is_server:
            said = f"in {operation}, and it is not there"
            yield wait_of(process, position, rank, said, WaitKind.COLLECTIVE)


def _for_relatives(process: Process, position: Position, job: _Job) -> Iterator[Wait]:
    """Who waits for a notification by another process of its program waits for those of them that are elsewhere.

    Its parent is none of them: that waits for its children's ends.
    """
    if not position.has(Role.SHARED):
        return
    parent = job.parents.parent_of(process)
    # What torchrun or a shell has started one beside the other shares no object of multiprocessing.
    siblings = job.parents.children_of(parent) if parent and not starts_others(parent.command) else ()
    for other in (*siblings, *job.parents.children_of(process)):
        main = main_position(other)
        if other is process or main is None or launches(other, job.processes):
            continue
        if main.own and not main.has(Role.SHARED):
            said = f"in {position.operation}, to which it has not come"
            yield wait_of(process, position, other.rank, said, WaitKind.CONDITION)


def _is_placed(other: Process) -> bool:
    """Whether it is known where it stands, or that it stands nowhere any more."""
    return bool(other.threads or other.collectives or other.flight or other.state in GONE)


def _meets(other: Process, position: Position) -> bool:
    """Whether it stands in the same collective, as far as can be told: another number or operation is another one."""
    stands = [one for _, one in pairs(other)] or [one for one in (main_position(other),) if one]
    inside = [one for one in stands if one.has(*_MEETS)]
    if position.number >= 0 and position.group:
        numbered = [one for one in inside if one.number >= 0 and one.group == position.group]
        if numbered:
            return any(one.number >= position.number for one in numbered)
    return bool(inside) and other.state not in GONE


def _for_missing(process: Process, position: Position, job: _Job) -> Iterator[Wait]:
    """Who waits for others to join waits for those that have not: not there, gone, or somewhere else."""
    said = f"in {position.operation or 'a rendezvous'}, to which it has not come"
    told = {absent.rank: absent.fact for absent in job.relations.absent}
    for rank, fact in told.items():
        why = f"in {position.operation or 'a rendezvous'}; {fact}"
        yield wait_of(process, position, rank, why, WaitKind.RENDEZVOUS)
    missing = [rank for rank in job.gone if rank not in told and not parse(rank).is_server]
    # A job's first rendezvous ends in a barrier; who makes one more group waits for those in a collective as well.
    inside = () if process.groups and process.collectives else _MEETS
    elsewhere = [
        other.rank
        for other in job.peers
        if other is not process
        and not any(one.has(Role.RENDEZVOUS, *inside) for _, one in pairs(other))
        and (other.threads or has_ended(other))
    ]
    for rank in (missing + elsewhere)[:_MOST]:
        yield wait_of(process, position, rank, said, WaitKind.RENDEZVOUS)
    for one in process.connections:
        if one.state == "SYN_SENT":
            yield wait_of(process, position, one.peer or one.remote, "connects, and nobody answers", WaitKind.SOCKET)


def _for_key(process: Process, position: Position, job: _Job) -> Iterator[Wait]:
    """Who waits for a key waits for whoever is to set it: of those that wait for no other rank, anybody may be."""
    for other in job.peers:
        waits = any(one.has(Role.KEY, Role.RENDEZVOUS, *_MEETS) for _, one in pairs(other))
        if other is not process and not waits and _is_placed(other):
            said = "a key of their store, which it may have to set"
            yield wait_of(process, position, other.rank, said, WaitKind.RENDEZVOUS)


def _for_lost(process: Process, position: Position, job: _Job) -> Iterator[Wait]:
    for one in job.relations.absent:
        if one.was_there:
            yield wait_of(process, position, one.rank, f"in {position.operation}; {one.fact}", WaitKind.STEP)


def _in_step(process: Process, position: Position) -> Iterator[Wait]:
    quiet: dict[str, float] = {}
    for one in process.connections:
        if one.peer and one.peer != process.rank:
            quiet[one.peer] = min(one.quiet, quiet.get(one.peer, one.quiet))
    seconds = silence_of(process.flight) if process.flight else -1.0
    for peer, silent in sorted(quiet.items()):
        heard = f"; nothing moved between them for {silent:.1f} s" if silent >= 0 else ""
        why = f"in RunStep, may wait for a tensor or the end of its part of the step{heard}"
        yield wait_of(process, position, peer, why, WaitKind.STEP, seconds)


def _by_call(process: Process, position: Position, call: BlockingCall, job: _Job) -> Iterator[Wait]:
    """By what the kernel says of the thread's system call."""
    said = _for_what(position) or words(call, process, job.names)
    if call.kind == "mutex":
        yield wait_of(process, position, node_at(process, call.holder), "a mutex, which it holds", WaitKind.LOCK)
    elif call.peer and call.peer != process.rank:
        quiet = next((c.quiet for c in process.connections if f"{c.local} -> {c.remote}" == call.what), -1.0)
        server = job.by_rank.get(call.peer)
        on = node_of(call.peer, serving_thread(server, call.what) if server else 0)
        yield wait_of(process, position, on, said, WaitKind.SOCKET, quiet)
    elif call.kind in ("pipe", "socket", "child", "several", "futex", "file"):
        others = [job.names[process.host, pid] for pid in call.others if (process.host, pid) in job.names]
        others = [other for other in others if other != process.rank]
        able = [other for other in others if not _wakes_nobody(job.by_rank[other])]
        if call.kind == "futex":  # in shared memory
            others = able
        elif call.kind == "pipe" and call.call.startswith(("read", "poll", "select")):
            others = able or others
        others = _who_owes(position, others, job)
        kind = _KINDS.get(call.kind, WaitKind.WORLD)
        for other in others[:_MOST]:
            held = held_up(job.by_rank[other]) if call.kind == "socket" else None
            on, why = (node_of(other, held.threads[0].tid), f"{said}; there {_AT_LOCK}") if held else (other, said)
            yield wait_of(process, position, on, why, kind)
        for helper in _that_ended(process, call, job) if not others else ():
            why = f"{said}; this one, which it started, {how_it_ended(helper)}"
            yield wait_of(process, position, helper.rank, why, kind)
        if not others and not call.peer and call.kind == "socket" and " -> " in call.what:
            yield wait_of(process, position, call.what.partition(" -> ")[2], said, kind)


def _that_ended(process: Process, call: BlockingCall, job: _Job) -> list[Process]:
    """Helpers that did not end well, where a process reads what nobody else can write any more."""
    alone = call.kind in ("pipe", "socket") and " -> " not in call.what and call.others == (process.pid,)
    if not alone or not call.call.startswith(("read", "recv")):
        return []
    return [child for child in job.parents.children_of(process) if child.exit_status][:_MOST]


def _wakes_nobody(process: Process) -> bool:
    """Whether it only waits for the end of a child, or for a lock that several processes share."""
    main = main_position(process)
    if main is None:
        return False
    if main.waits is WaitKind.CHILD or main.has(Role.SPAWN):
        return True
    return any(call.tid == main.tid and call.kind == "futex" and call.others for call in process.blocking_calls)


def _for_answer(process: Process, position: Position, job: _Job) -> Iterator[Wait]:
    """Who calls another process waits for the threads there that are at work on somebody's call."""
    if not (position.has(Role.POOL_WAIT) and position.waits is WaitKind.SOCKET):
        return
    for other in job.peers:
        for _, one in pairs(other) if other is not process else ():
            if one.own and one.has(Role.PROXY):
                said = f"the answer to {position.operation}, on which it is at work"
                yield wait_of(process, position, node_at(other, one.tid), said, WaitKind.SOCKET)


def _for_what(position: Position) -> str:
    """What is handed over, which tells more than the pipe by which it is."""
    if position.has(Role.INPUT_NEXT):
        return "its next batch"
    return "a pool's result" if position.has(Role.POOL_WAIT) else ""


def _who_owes(position: Position, others: Sequence[str], job: _Job) -> list[str]:
    """Of those that have the other end: where a batch or a result is waited for, who is at work on one."""
    if position.waits is WaitKind.CHILD:
        return [name for other in others for name in _in_place_of_its_server(job.by_rank[other], job)]
    if not position.has(*HANDS_OVER):
        return list(others)
    at_work = [other for other in others if any(not is_idle(one) for _, one in pairs(job.by_rank[other]))]
    return at_work or list(others)


def _in_place_of_its_server(other: Process, job: _Job) -> list[str]:
    """A fork server tells of the ends of those that it has started, which are the ones that are waited for."""
    children = [child.rank for child in job.parents.children_of(other) if child.parent == other.pid]
    serves_forks = bool(other.threads) and all(is_idle(one) for _, one in pairs(other))
    return children if children and serves_forks else [other.rank]


def _for_lock_files(process: Process, position: Position, job: _Job) -> list[Wait]:
    if not position.has(Role.FILE_LOCK) and position.waits is not WaitKind.FILE:
        return []
    found = []
    for lock in wanted_locks(process, position.has(Role.FILE_LOCK)):
        holders = [job.names.get((process.host, pid), f"process {pid}") for pid in lock.holders]
        said = f"the lock on {lock.path}"
        found += [wait_of(process, position, who, said, WaitKind.LOCK) for who in holders or [f"file {lock.path}"]]
    return found
