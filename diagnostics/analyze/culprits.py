"""Who holds everybody up: the ends of the waiting, with where they stand. Pure.

Given for every hang, also where no cause is known: what a person needs first is the place to look at.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from diagnostics.analyze.clocks import only_sleeps, only_tells
from diagnostics.analyze.family import TOGETHER, has_ended, launches, peers, serves
from diagnostics.analyze.loops import standing_loop
from diagnostics.analyze.parted import who_parted
from diagnostics.analyze.wait_graph import Graph, cycles, graph_of, rank_in, reached, thread_in
from diagnostics.model import Collection, Culprit, Position, Process, Role, State, Wait, WaitKind
from diagnostics.model.rank import parse
from diagnostics.stacks.position import is_idle, main_position, pairs, position_of, recorded_position
from diagnostics.stacks.spoken import spoken

MOST = 4
ALONE = "it stands still, and nobody else is known to hold it up"
_ASKS_INSIDE = (WaitKind.CONDITION, WaitKind.INPUT, WaitKind.STEP)
_HOLDER = re.compile(r"process (\d+)$")
_MEETS = (Role.COLLECTIVE, Role.BARRIER, Role.RENDEZVOUS)
_SURE = (WaitKind.COLLECTIVE, WaitKind.LOCK, WaitKind.CHILD, WaitKind.RENDEZVOUS)
_CALM = (State.PROGRESSING, State.FINISHED, State.IDLE)


def find_culprits(collection: Collection, waits: Sequence[Wait]) -> tuple[Culprit, ...]:
    """Of a job that hangs, or of dumps of one: likeliest first, at most a few."""
    processes = collection.processes
    known = {process.rank: process for process in processes}
    stopped = [p for p in processes if p.state is State.HUNG and _is_held_from_outside(p)]
    if stopped:
        return tuple(_culprit(p, 0.95, p.state_why) for p in stopped[:MOST])
    stuck = [p for p in processes if _is_stuck(p, processes)]
    graph = graph_of(waits)
    ends = _ends(stuck, graph)
    by_rank = {wait.on: wait for wait in reversed(waits)}
    found: list[Culprit | None] = []
    for name, count in ends.most_common(3 * MOST):
        if (wait := by_rank.get(name)) is None:
            continue
        one = _at_end(name, count, len(stuck), known, wait, name in collection.expected)
        found += _with_parent(one, wait, known, graph) if one is not None else ()
    found += _holders_of_file_locks(waits, known)
    found += [one for group in cycles(graph) if _touches(group, stuck) for one in _in_circle(group, known)]
    found = [one for one in found if one is not None and not _only_serves(one, known)]
    if not found:
        alone = _alone(stuck, processes)
        found = list(_odd_first([one for one in map(_by_itself, alone) if one], known))
        if parted := who_parted(alone):
            why = f"it called {spoken(parted.op)} where the others came to {spoken(parted.other)}, {parted.place}"
            found = [_culprit(process, 0.65, why) for process in alone if process.rank in parted.ranks]
        found += _not_there(stuck, collection)
    return _best(one for one in found if one)


def _holders_of_file_locks(waits: Sequence[Wait], known: Mapping[str, Process]) -> Iterator[Culprit]:
    """Who keeps others from a file while it waits by itself, for data at most: it is to give the lock back.

    One that waits for ranks, children or locks is not the end of the waiting.
    """
    held: dict[str, list[Wait]] = {}
    for wait in waits:
        if wait.kind is WaitKind.LOCK and wait.why.startswith("the lock on ") and wait.on in known:
            held.setdefault(wait.on, []).append(wait)
    for rank, for_it in held.items():
        onward = {wait.kind for wait in waits if rank_in(wait.rank) == rank}
        if onward <= {WaitKind.SOCKET, WaitKind.PIPE} and known[rank].state not in _CALM:
            others = ", ".join(dict.fromkeys(wait.rank for wait in for_it[:MOST]))
            yield _culprit(known[rank], 0.85, f"{others} waits for it: {for_it[0].why}")


def _is_held_from_outside(process: Process) -> bool:
    letters = {thread.state for sample in process.samples[-1:] for thread in sample.threads}
    frozen = any(sample.cgroup.frozen for sample in process.samples[-1:] if sample.cgroup)
    return frozen or (bool(letters) and letters <= {"T", "t"})


def _is_stuck(process: Process, processes: Sequence[Process]) -> bool:
    if serves(process) or launches(process, processes):
        return False
    if process.state is State.HUNG:
        return True
    known = bool(process.threads) or recorded_position(process) is not None
    return known and process.state not in _CALM and not has_ended(process)


def _ends(stuck: Sequence[Process], graph: Graph) -> Counter[str]:
    """The nodes that wait for nobody, each with how many stuck ranks reach it."""
    found: Counter[str] = Counter()
    for process in stuck:
        todo = [process.rank]
        if only_tells(process):  # who waits is beside its main thread
            todo += [name for name in graph if rank_in(name) == process.rank and name != process.rank and graph[name]]
        seen, start = set(todo), frozenset(todo)
        while todo:
            name = todo.pop()
            others = graph.get(name, frozenset())
            if not others and name not in start:
                found[name] += 1
            new = [other for other in sorted(others) if other not in seen]
            seen.update(new)
            todo += new
    return found


def _at_end(name: str, count: int, of: int, known: Mapping[str, Process], wait: Wait, expected: bool) -> Culprit | None:
    rank, tid = rank_in(name), thread_in(name)
    process = known.get(rank)
    waits = rank_in(wait.rank)
    why = (
        f"another thread of it waits for this one: {wait.why}" if waits == rank else f"{waits} waits for it: {wait.why}"
    )
    share = count / max(of, 1)
    if process is None and expected:
        return Culprit(name, 0, "", round(0.55 + 0.3 * share, 2), why)
    if process is None:
        return _who_asks(name, wait, known)
    if process.state in (State.PROGRESSING, State.SLOW):
        return None
    sure = 0.9 if wait.kind in _SURE else 0.75
    position = position_of(process, tid) if tid else None
    if wait.kind is WaitKind.SOCKET and not tid and _joins(main_position(process)) and waits in known:
        said = f"{name}, whose answer it waits for, is in no call for it: its main thread waits for children"
        return _culprit(known[waits], 0.75, said, position_of(known[waits], thread_in(wait.rank)))
    if waits == rank and position is not None and only_sleeps(position):
        where = f": {position.place}" if position.place else ""
        said = f"nobody is known to be about to wake it; beside it thread {tid} works by the clock{where}"
        return _culprit(process, 0.6, said, _that_stands(process))
    return _culprit(process, round(sure * (0.7 + 0.3 * share), 2), why, position)


def _that_stands(process: Process) -> Position | None:
    """The thread at a lock, or of those that the main thread joins one that waits for a notification; None: none."""
    main = main_position(process)
    kinds = [WaitKind.LOCK] + [WaitKind.CONDITION] * (main is not None and main.waits is WaitKind.JOIN)
    own = [one for _, one in pairs(process) if one.own and one.waits in kinds and not is_idle(one)]
    return min(own, key=lambda one: kinds.index(one.waits), default=None)


def _who_asks(outside: str, wait: Wait, known: Mapping[str, Process]) -> Culprit | None:
    """The waiting ends outside of what was looked at: the rank that asks there is the one to look at."""
    rank, tid = rank_in(wait.rank), thread_in(wait.rank)
    process = known.get(rank)
    if process is None:
        return None
    position = position_of(process, tid) if tid else None
    if (holder := _HOLDER.match(outside)) and wait.kind is WaitKind.LOCK:
        return Culprit(f"pid:{holder[1]}", int(holder[1]), process.host, 0.8, f"{rank} waits for it: {wait.why}")
    why = f"what it waits for is {outside}, which is no process that was looked at"
    return _culprit(process, 0.8, why, position)


def _with_parent(one: Culprit, wait: Wait, known: Mapping[str, Process], graph: Graph) -> Iterator[Culprit]:
    """With the rank whose helper it is: that is the one that the others see. One that goes on waits for nobody.

    A helper that has done its work, and cannot end, is the lesser of the two. A parent that only waits for its
    children's ends is left out where the child stands in the user's code.
    """
    parent = known.get(parse(one.rank).parent)
    main = main_position(parent) if parent else None
    own = one.position is not None and one.position.own
    if parent is None or parent.state is State.PROGRESSING or (_joins(main) and own):
        yield one
        return
    at_its_end = one.position is not None and one.position.has(Role.TEARDOWN) and not one.position.own
    of_parent = main is not None and main.own and at_its_end
    less = round(0.7 * one.confidence, 2)
    waits = any(rank_in(name) == one.rank for name in reached(parent.rank, graph))
    why = f"it waits for {one.rank}, which it started" if waits else f"it started {one.rank}"
    yield msgspec.structs.replace(one, confidence=less) if of_parent else one
    tid = thread_in(wait.rank) if rank_in(wait.rank) == parent.rank else 0
    at = position_of(parent, tid) if tid else None
    yield _culprit(parent, one.confidence if of_parent else less, why, at)


def _joins(main: Position | None) -> bool:
    return main is not None and (main.has(Role.SPAWN) or main.waits is WaitKind.CHILD)


def _in_circle(group: Sequence[str], known: Mapping[str, Process]) -> Iterator[Culprit]:
    """Where it goes through a server, first a client of it, and the server's thread as well: either may be at fault.

    Inside of one process, the callback: what the main thread waits for is what that does.
    """
    inside = [(process, thread_in(name)) for name in group if (process := known.get(rank_in(name)))]
    if len({process.rank for process, _ in inside}) == 1:
        inside = [one for one in inside if one[1] and _is_callback(*one)] or inside
    clients = [(process, tid) for process, tid in inside if not serves(process) and not tid] or inside
    through = [(process, tid) for process, tid in inside if tid and process is not clients[0][0]]
    others = ", ".join(group[:MOST])
    why = f"{others} wait for each other in a circle" if len(group) > 1 else "it waits for itself"
    for (process, tid), confidence in zip((*clients[:1], *through[:1]), (0.8, 0.7), strict=False):
        yield _culprit(process, confidence, why, position_of(process, tid) if tid else None)


def _is_callback(process: Process, tid: int) -> bool:
    position = position_of(process, tid)
    return position is not None and position.own and position.has(Role.CALLBACK)


def _touches(group: Sequence[str], stuck: Sequence[Process]) -> bool:
    ranks = {process.rank for process in stuck}
    return any(rank_in(name) in ranks for name in group)


def _only_serves(one: Culprit, known: Mapping[str, Process]) -> bool:
    """A server that is there and idle answers whoever asks: that it is waited for does not make it the one."""
    process = known.get(one.rank)
    main = main_position(process) if process else None
    if main is not None and one.position is not None and one.position.tid != main.tid:
        return False  # a thread that is at work for a client
    return process is not None and serves(process) and not has_ended(process) and process.state is not State.HUNG


def _alone(stuck: Sequence[Process], processes: Sequence[Process]) -> list[Process]:
    """Where nobody is known to be waited for: ranks that are in no collective first; of alike ones none."""
    stuck = [process for process in stuck if not _joins(main_position(process))] or list(stuck)
    inside = {id(process) for process in peers(processes)}
    ranks = [process for process in stuck if id(process) in inside] or list(stuck)
    apart = [process for process in ranks if not (main := main_position(process)) or not main.has(*_MEETS)]
    if apart and len(apart) < len(ranks):
        return apart
    places = {_place(process) for process in ranks}
    mains = [main_position(process) for process in ranks]
    together = any(main is None or main.has(*TOGETHER) for main in mains)
    return ranks if len(ranks) == 1 or len(places) > 1 or not together else []


def _place(process: Process) -> tuple[str, str, str]:
    """What for counts where it goes round in a loop: two that ask for different things may wait for each other."""
    main = main_position(process)
    if main is None:
        return "", "", ""
    return main.operation, main.place, main.waits_for if standing_loop(process) else ""


def _not_there(stuck: Sequence[Process], collection: Collection) -> list[Culprit]:
    """Ranks that ought to be there and are not, where those that are wait for others."""
    seen = {process.rank for process in collection.processes}
    away = [rank for rank in dict.fromkeys(collection.expected) if rank not in seen]
    waits = [p for p in stuck if (main := main_position(p)) and main.has(*TOGETHER, Role.POOL_WAIT, Role.TEARDOWN)]
    if not waits or len(away) > MOST:
        return []
    why = f"it belongs to the job, and no process of it is known, while {waits[0].rank} waits for others"
    return [Culprit(rank, 0, "", 0.65, why) for rank in away]


def _by_itself(process: Process) -> Culprit | None:
    main = main_position(process)
    if main is None:
        return None
    if only_tells(process):
        return _culprit(process, 0.6, ALONE, _beside(process, main))
    owing = [one for _, one in pairs(process) if one.tid != main.tid and not is_idle(one) and one.own]
    inside = main.waits is WaitKind.JOIN or (main.waits in (WaitKind.CONDITION, WaitKind.INPUT) and not main.own)
    if main.has(Role.POOL_WAIT) or main.waits in _ASKS_INSIDE:
        tasks = [one for one in owing if one.has(Role.POOL_TASK, Role.CALLBACK, Role.INPUT_MAKE)]
        inside, owing = inside or bool(tasks), tasks or owing
    position = owing[0] if inside and owing else main
    return _culprit(process, 0.6, ALONE, position)


def _beside(process: Process, main: Position) -> Position | None:
    """A thread that stands beside the main thread, at a lock if one does; None: none."""
    own = [one for _, one in pairs(process) if one.own and one.tid != main.tid and not is_idle(one)]
    return min(own, key=lambda one: one.waits is not WaitKind.LOCK, default=None)


def _odd_first(found: Sequence[Culprit], known: Mapping[str, Process]) -> Iterable[Culprit]:
    """Where few stand at another place than most, these few are the ones to look at, and the others wait for them."""
    places = Counter(_place(known[one.rank]) for one in found)
    most = max(places.values(), default=0)
    crowds = [place for place, count in places.items() if count == most]
    if len(crowds) == len(places):
        unsure = len(places) > 1 and most > 1
        yield from (msgspec.structs.replace(one, confidence=0.5) for one in found) if unsure else found
        return
    for one in found:
        place = _place(known[one.rank])
        if place not in crowds:
            operation, where, _ = crowds[0]
            why = f"{most} others stand alike" + (f", in {operation or where}" if operation or where else "")
            yield msgspec.structs.replace(one, confidence=0.7, why=why if places[place] == 1 else one.why)


def _culprit(process: Process, confidence: float, why: str, position: Position | None = None) -> Culprit:
    return Culprit(process.rank, process.pid, process.host, confidence, why, position or main_position(process))


def _best(found: Iterable[Culprit]) -> tuple[Culprit, ...]:
    once: dict[tuple[str, str], Culprit] = {}
    for one in sorted(found, key=lambda one: (-one.confidence, not parse(one.rank).is_child)):
        once.setdefault((one.rank, one.position.place if one.position else ""), one)
    return tuple(once.values())[:MOST]
