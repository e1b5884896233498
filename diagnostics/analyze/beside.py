"""Ranks that stand still, each judged beside the others: can what it waits for still come? Pure.

A rank that waits, through whomever, for one that moves does not hang: it comes when that one is done (an evaluation, a
long save, a pool's task). Where the waiting ends with what cannot move (each other, a rank that is gone or not there, a
lock whose owner has ended), it hangs, however short it has stood. Everything else hangs once it has stood for long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from diagnostics.analyze.asleep import asleep_for_good
from diagnostics.analyze.clocks import SOON, only_tells
from diagnostics.analyze.family import TOGETHER, accepts, has_ended, is_child_of, launches, serves, votes
from diagnostics.analyze.loops import sleeps_between_rounds, standing_loop
from diagnostics.analyze.movement import WOKEN, wakes
from diagnostics.analyze.outside import waits_outside
from diagnostics.analyze.progress import Limits
from diagnostics.analyze.relations import Relations
from diagnostics.analyze.served import may_answer_elsewhere
from diagnostics.analyze.sleep import sleep_words
from diagnostics.analyze.stillness import did_not_run, stood_still
from diagnostics.analyze.wait_graph import Graph, cycles, graph_of, rank_in, reached, thread_in
from diagnostics.analyze.waits import find_waits
from diagnostics.model import Collection, Process, Role, State, Wait, WaitKind
from diagnostics.stacks.position import is_idle, main_position, pairs, position_of

_FOR_GOOD = frozenset(
    {WaitKind.LOCK, WaitKind.GIL, WaitKind.PIPE, WaitKind.CHILD, WaitKind.SOCKET, WaitKind.COLLECTIVE}
)
"""Waits that, in a circle, nobody outside of it ends."""
_ROUNDS = 2
"""Sleeps of a thread that works by the clock that have to pass before what it may bring is missed."""
_ONCE_MORE = 3.0
_NEARLY = 0.95
"""Samples that are taken a second apart show a little less than a second."""
_UNSEEN = 10
"""Times as long as else that a rank has to stand which waits for others that nobody looked at."""
_AT_REST = (WaitKind.TIME, WaitKind.TERMINAL)


def beside_others(collection: Collection, limits: Limits, relations: Relations) -> Collection:
    """The collection with the ranks decided that stand still without a recorder."""
    telling = [process for process in collection.processes if _moves_by_telling(process)]
    if not telling and not any(_open(process) for process in collection.processes):
        return collection
    for_good = asleep_for_good(collection)
    waits = find_waits(collection, relations)
    waiters = _waiters(waits)
    stuck = frozenset(one.rank for one in telling if one.rank in for_good and _keeps_one_waiting(one, waiters))
    collection = msgspec.structs.replace(
        collection, processes=tuple(_told(one) if one.rank in stuck else one for one in collection.processes)
    )
    processes = collection.processes
    if not any(_open(process) for process in processes):
        return collection
    known = {process.rank: process for process in processes}
    graph = graph_of(waits)
    circles = _circles([wait for wait in waits if not _may_be_answered(wait, waits, known)])

    def decided(process: Process) -> Process:
        if not _open(process):
            return process
        if process.rank in stuck:
            seen = _watched(process) >= _NEARLY * limits.stands
            said = f"{process.state_why}, and nothing runs any more that could wake them"
            return _with(process, State.HUNG, said) if seen else process
        if launches(process, processes):
            return _with(process, State.IDLE, "waits for what it has started")
        ends = reached(process.rank, graph)
        if moving := _first_that_moves(ends, known):
            return _with(process, State.IDLE, f"waits for {moving}, which moves")
        if _keeps_servers(process, known.values()):
            return _with(process, State.IDLE, "waits for the end of servers that it has started")
        standing = standing_loop(process)
        if standing and standing.loop.asks and (moving := _another_that_moves(process, processes)):
            return _with(process, State.IDLE, f"{process.state_why}, and {moving}, for which it may wait, moves")
        if standing and standing.loop.until_ended and not waiters.get(process.rank):
            return _with(process, State.IDLE, f"{process.state_why}, until somebody ends it")
        if standing and standing.proven:
            return _with(process, State.HUNG, f"{process.state_why}: it is where it was before, and so for ever")
        if (why := _never(process, ends, known, circles)) and _long(process, limits.proven):
            return _with(process, State.HUNG, f"{process.state_why}, and {why}")
        watched = process.tasks_watched
        if watched and watched.stand and watched.seconds >= _NEARLY * limits.stands:
            return _with(process, State.HUNG, f"{process.state_why}, and nothing is there that could wake the others")
        rests = _rests(process, waiters)
        wakes = _wakes_by_itself(process) and not waiters.get(process.rank)
        if process.rank in for_good and _long(process, limits.proven) and not rests and not wakes:
            return _with(process, State.HUNG, f"{process.state_why}, and nothing runs any more that could wake it")
        if pause := _is_a_pause(process, processes):
            return _with(process, State.IDLE, f"{process.state_why}, between two rounds of {pause}")
        if not votes(process, processes) and not waiters.get(process.rank):
            return process
        unseen = _not_looked_at(process, collection, relations)
        if unseen and not _long(process, _UNSEEN * limits.stands):
            why = f"{process.state_why}, and waits for {unseen}, which was not looked at"
            return _with(process, State.UNKNOWN, why)
        outside, allowed = waits_outside(process, limits)
        if outside and not _long(process, allowed) and waiters.get(process.rank, frozenset()) <= {process.rank}:
            why = f"{process.state_why}, and waits for {outside}, which is outside of what was looked at"
            return _with(process, State.UNKNOWN, why)
        if _long(process, max(limits.stands, _ROUNDS * _clock_of(process))) and not rests:
            return _with(process, State.HUNG, f"{process.state_why}, and nothing of the job that it waits for moves")
        return process

    found = _behind_the_hung(tuple(map(decided, processes)), graph, limits)
    return msgspec.structs.replace(collection, processes=_that_are_asked(_with_rest(found, waiters), waits))


def _moves_by_telling(process: Process) -> bool:
    return process.state is State.PROGRESSING and not process.flight and only_tells(process)


def _keeps_one_waiting(process: Process, waiters: _Waiters) -> bool:
    """Whether a thread of its own stands beside the one that tells, or another process waits for it."""
    main = main_position(process)
    beside = any(one.own and one != main and not is_idle(one) for _, one in pairs(process))
    return beside or bool(waiters.get(process.rank, frozenset()) - {process.rank})


def _told(process: Process) -> Process:
    """As one that is to be watched, since only what it tells was taken for its work."""
    main = main_position(process)
    last = process.samples[-1]
    ran = [one.last_ran for one in last.threads if main and one.tid != main.tid and one.last_ran >= 0]
    since = min(ran, default=_watched(process))
    positions = tuple(
        msgspec.structs.replace(one, since=since_of(process, one.tid, _watched(process))) for one in process.positions
    )
    why = f"only tells how it goes{f', in {main.place}' if main and main.place else ''}"
    return msgspec.structs.replace(process, state=State.UNKNOWN, state_why=why, since=since, positions=positions)


def _watched(process: Process) -> float:
    """Seconds between the first and the last sample, or that its tasks were watched; -1 without any."""
    if process.tasks_watched and process.tasks_watched.stand:
        return process.tasks_watched.seconds
    return process.samples[-1].at - process.samples[0].at if process.samples else -1.0


def _that_are_asked(processes: Sequence[Process], waits: Sequence[Wait]) -> tuple[Process, ...]:
    """Servers that are idle by themselves, and that one which hangs asks: what serves it stands still as well."""
    hung = {one.rank for one in processes if one.state is State.HUNG}
    asked = {rank_in(one.on): one for one in waits if one.kind is WaitKind.SOCKET and rank_in(one.rank) in hung}
    stand = {one.rank for one in waits} | {one.on for one in waits if thread_in(one.on)}

    def told(process: Process) -> Process:
        wait = asked.get(process.rank)
        if wait is None or process.state is not State.IDLE or not serves(process):
            return process
        idle = _with(process, State.IDLE, f"serves others, and {rank_in(wait.rank)} waits for its answer")
        if wait.on not in stand:
            return idle
        serving = position_of(process, thread_in(wait.on)) if thread_in(wait.on) else None
        since = serving.since if serving and serving.since >= 0 else process.since
        return msgspec.structs.replace(idle, state=State.HUNG, since=since)

    return tuple(map(told, processes))


def _behind_the_hung(processes: tuple[Process, ...], graph: Graph, limits: Limits) -> tuple[Process, ...]:
    """Who waits for ranks that hang, and for no others but idle ones, hangs, too."""
    while True:
        known = {process.rank: process for process in processes}
        behind = {
            process.rank: hung
            for process in processes
            if _open(process) and _long(process, limits.proven) and (hung := _only_hung(process, graph, known))
        }
        if not behind:
            return processes
        processes = tuple(
            _with(one, State.HUNG, f"{one.state_why}, and {behind[one.rank]}, which it waits for, hangs")
            if one.rank in behind
            else one
            for one in processes
        )


def _only_hung(process: Process, graph: Graph, known: Mapping[str, Process]) -> str:
    """The first that hangs of those that it waits for, where none of them may still come; "" else."""
    on = [known.get(rank_in(name)) for name in sorted(graph.get(process.rank, ()))]
    hung = [one.rank for one in on if one is not None and one.state is State.HUNG]
    others = all(one is not None and one.state in (State.HUNG, State.IDLE) for one in on)
    return hung[0] if hung and others else ""


def _with_rest(processes: Sequence[Process], waiters: _Waiters) -> tuple[Process, ...]:
    """Who sleeps beside others that are well, and is waited for by nobody, is well, too."""
    left = {one.rank for one in processes if _open(one) and votes(one, processes)}
    others = [one for one in processes if one.rank not in left and votes(one, processes)]
    well = bool(others) and all(one.state in (State.PROGRESSING, State.IDLE, State.FINISHED) for one in others)
    if not well or not all(_rests(one, waiters) for one in processes if one.rank in left):
        return tuple(processes)
    return tuple(
        _with(one, State.IDLE, f"{one.state_why}, and nobody waits for it") if one.rank in left else one
        for one in processes
    )


def undecided(collection: Collection, limits: Limits) -> float | None:
    """Seconds after which another sample would decide of ranks that stand still; None where all is decided."""
    processes = collection.processes
    seen = [p for p in processes if p.threads or p.positions or p.blocking_calls]  # the others stay what they are
    waiting = [p for p in seen if _open(p) and votes(p, processes) and 0 <= _stood(p) < limits.stands]
    left = [_left(p, limits) for p in waiting if not _sleeps_on(p, limits.stands)]
    return min(left, default=None)


def _left(process: Process, limits: Limits) -> float:
    """Of one that was woken, but not often enough to say that it gets on, only until it is seen again."""
    main = main_position(process)
    return _ONCE_MORE if main and 0 < wakes(process, main) < WOKEN else limits.stands - _stood(process)


def _wakes_by_itself(process: Process) -> bool:
    """Whether its wait has an end, however far, as that of a program that works by the clock."""
    main = main_position(process)
    call = next((one for one in process.blocking_calls if main and one.tid == main.tid), None)
    return call is not None and call.limited and main is not None and not main.has(*TOGETHER)


def _clock_of(process: Process) -> float:
    """Seconds of the longest sleep of a thread of the user's that may bring what the main thread waits for; 0: none."""
    main = main_position(process)
    if main is None or main.has(Role.COLLECTIVE, Role.BARRIER, Role.RENDEZVOUS):
        return 0.0
    sleeping = {p.tid for _, p in pairs(process) if p.own and p.waits is WaitKind.TIME and p.tid != main.tid}
    sleeps = [call.ends_in for call in process.blocking_calls if call.tid in sleeping and call.ends_in <= SOON]
    return max(sleeps, default=0.0)


def _sleeps_on(process: Process, seconds: float) -> bool:
    """Whether it is known to sleep for longer than that, so that more samples would be the same."""
    main = main_position(process)
    call = next((one for one in process.blocking_calls if main and one.tid == main.tid), None)
    return call is not None and call.kind == "time" and call.ends_in > seconds + max(process.since, 0.0)


def _open(process: Process) -> bool:
    return process.state is State.UNKNOWN and not process.dump and process.pid > 0


def _with(process: Process, state: State, why: str) -> Process:
    return msgspec.structs.replace(process, state=state, state_why=why)


def _long(process: Process, limit: float) -> bool:
    return _stood(process) >= _NEARLY * limit


def _stood(process: Process) -> float:
    """Seconds that it has stood for certain: by when it last ran, or, where it wakes now and then, since it is watched.

    That a connection or a log has been quiet for longer says nothing of who wakes meanwhile.
    """
    main = main_position(process)
    watched = _watched(process)
    if main is not None and did_not_run(process, main.tid) and main.since >= 0:
        return process.since
    if only_tells(process):
        return watched
    if main is not None and main.since >= 0 and not main.at_least:
        return process.since
    return min(process.since, watched)


def _first_that_moves(ends: Sequence[str], known: Mapping[str, Process]) -> str:
    for node in ends:
        process, tid = known.get(rank_in(node)), thread_in(node)
        moves = process is not None and process.state in (State.PROGRESSING, State.SLOW)
        if process and moves and not (tid and stood_still(process, tid)):
            return process.rank
    return ""


def _not_looked_at(process: Process, collection: Collection, relations: Relations) -> str:
    """A member of the group in whose collective it waits, which may well get on: only some of the job were looked at.

    "" where all are known, or ought to be here and are not.
    """
    main = main_position(process)
    if main is None or not main.has(Role.COLLECTIVE, Role.BARRIER) or main.has(Role.RENDEZVOUS):
        return ""
    groups = relations.groups_by_label.get(main.group, ())
    group = next((one for one in groups if process.rank in one.members and one.coverage), None)
    seen = {one.rank for one in collection.processes} | set(collection.expected)
    return next((name for name in group.unseen if name not in seen), "") if group else ""


def _is_a_pause(process: Process, processes: Sequence[Process]) -> str:
    """The loop of the shell that has started this sleep, whose end is known, and works again when it is over."""
    if not sleep_words(process):
        return ""
    above = (other for other in processes if is_child_of(process, other))
    return next((where for other in above if (where := sleeps_between_rounds(other))), "")


def _keeps_servers(process: Process, processes: Iterable[Process]) -> bool:
    main = main_position(process)
    if main is None or main.has(*TOGETHER):
        return False
    kept = [one for one in processes if is_child_of(one, process) and not has_ended(one)]
    return bool(kept) and all(map(accepts, kept))


def _another_that_moves(process: Process, processes: Sequence[Process]) -> str:
    """What a loop asks for may come from anybody."""
    moving = (one for one in processes if one is not process and one.state in (State.PROGRESSING, State.SLOW))
    return next((one.rank for one in moving), "")


def _may_be_answered(wait: Wait, waits: Sequence[Wait], known: Mapping[str, Process]) -> bool:
    """Whether a server's reader waits for its client's next request, while another thread may answer the last."""
    server = known.get(rank_in(wait.rank))
    if wait.kind is not WaitKind.SOCKET or server is None or not may_answer_elsewhere(server, thread_in(wait.rank)):
        return False
    return any(one.kind is WaitKind.SOCKET and (one.rank, one.on) == (wait.on, wait.rank) for one in waits)


def _circles(waits: Sequence[Wait]) -> dict[str, tuple[str, ...]]:
    """node -> the circle of waits without an outside that it is in."""
    graph = graph_of(waits)
    kinds = {(wait.rank, wait.on): wait.kind for wait in waits}
    found = {}
    for group in cycles(graph):
        inner = [kind for (rank, on), kind in kinds.items() if rank in group and on in group]
        if inner and all(kind in _FOR_GOOD for kind in inner):
            found.update(dict.fromkeys(group, group))
    return found


def _never(
    process: Process, ends: Sequence[str], known: Mapping[str, Process], circles: Mapping[str, tuple[str, ...]]
) -> str:
    """Why what it waits for cannot come; "" where that is not known."""
    for name in (process.rank, *ends):
        if group := circles.get(name):
            return f"{', '.join(group[:4])} wait for each other" if len(group) > 1 else "it waits for itself"
        other = known.get(name)
        if other is not None and other is not process and has_ended(other):
            return f"{name}, which it waits for, is gone"
    gone = next((call for call in process.blocking_calls if call.owner and not call.holder), None)
    if gone and not any(thread.tid == gone.owner for thread in process.threads):
        return "the owner of a lock that it waits for has ended"
    return ""


_Waiters = Mapping[str, frozenset[str]]
"""rank -> the ranks that wait for where it stands, itself among them where another thread of it does."""


def _waiters(waits: Sequence[Wait]) -> _Waiters:
    found: dict[str, set[str]] = {}
    for wait in waits:
        found.setdefault(wait.on, set()).add(rank_in(wait.rank))
    return {node: frozenset(ranks) for node, ranks in found.items()}


def _rests(process: Process, waiters: _Waiters) -> bool:
    """Whether it only sleeps, or waits for a person or a signal, and nobody waits for it: no hang by itself."""
    main = main_position(process)
    if main is None:
        return True
    others = waiters.get(process.rank, frozenset())
    if standing := standing_loop(process):
        return (standing.loop.until_ended or standing.loop.serves) and not others
    until_ended = main.operation.startswith("Event.") and not main.roles  # how programs wait that a signal ends
    at_rest = main.waits in _AT_REST or main.has(Role.EVENT_LOOP) or until_ended
    # That threads of its own may wait for one that works by the clock tells nothing of the rank.
    return at_rest and not main.has(*TOGETHER, Role.FILE_LOCK) and others <= {process.rank}


def since_of(process: Process, tid: int, otherwise: float) -> float:
    """Since when one thread stands: by when it last ran, where it did not run between the samples."""
    last = process.samples[-1] if process.samples else None
    sample = next((thread for thread in last.threads if thread.tid == tid), None) if last else None
    if sample and sample.last_ran >= 0 and did_not_run(process, tid):
        return sample.last_ran
    main = main_position(process)
    return otherwise if main is not None and main.tid == tid else -1.0
