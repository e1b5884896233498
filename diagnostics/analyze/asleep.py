"""Ranks of which nothing runs any more, and that nobody else can wake: they hang, however short they have stood. Pure.

Every thread stands still in a call that only one of these ranks could end: a lock or notification of its own process,
the end of a child, a pipe or connection whose other ends all belong to them, a sleep of minutes. What the network may
still bring, a listening socket, a person, a signal, a file system or a device keeps a rank out of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set

from diagnostics.analyze.clocks import SOON, only_tells
from diagnostics.analyze.family import launches, listens
from diagnostics.analyze.stillness import did_not_run
from diagnostics.model import BlockingCall, Collection, Connection, Position, Process, Role, State, WaitKind
from diagnostics.model.rank import RankKind, parse
from diagnostics.stacks.position import is_idle, main_position, pairs
from diagnostics.stacks.symbols import uses

FAR = 3600.0
"""The same of a thread beside its main thread, which may be there to wake that one by the clock."""

_FROM_OUTSIDE = (Role.RENDEZVOUS, Role.DEVICE, Role.DEVICE_LAUNCH, Role.EVENT_LOOP, Role.DEBUGGER)
"""What comes to these comes past everything that a process has open: who joins, and what a device has done."""
_OWN_TIMERS = "grpc"
"""A library that connects again by itself, after seconds in which nothing is seen of it."""
_TUNED_END = (Role.INPUT_END, Role.TUNER)
"""An input that ends waits for its tuner, which is idle by nature and wakes by itself."""
_DO_NOTHING = (State.IDLE, State.HUNG)
"""Who answers when it is asked, and who was stopped: nothing comes from these."""
_ASKS_AGAIN = (Role.INPUT_NEXT, Role.POOL_WAIT)
"""Waits that libraries cut into pieces, to see meanwhile whether those that they wait for still run."""
_FOR_OTHERS = (WaitKind.CONDITION, WaitKind.LOCK, WaitKind.JOIN)
_OWN_EVENTS = ("eventfd", "eventpoll")
_OUTSIDE_KINDS = re.compile(r"file|terminal|timerfd|inotify|call|io_uring")
_Ends = Mapping[tuple[str, str, str], list[tuple[Process, Connection]]]
"""Who has a connection open: forked children have their parent's, too."""


def asleep_for_good(collection: Collection) -> frozenset[str]:
    """Their names."""
    processes = collection.processes
    on_devices = {(device.host, pid) for device in collection.devices for pid in device.pids}
    resting = {one.rank for one in processes if one.state is State.IDLE and _has_nothing_to_do(one)}
    of_job = {(one.host, one.pid) for one in processes}
    calm = {one.rank for one in processes if one.state in _DO_NOTHING or launches(one, processes)}
    ends: dict[tuple[str, str, str], list[tuple[Process, Connection]]] = {}
    for process in processes:
        for one in process.connections:
            ends.setdefault(_key(process.host, one.local, one.remote), []).append((process, one))
    may = [one for one in processes if one.rank not in calm and (one.host, one.pid) not in on_devices]
    asleep = {process.rank for process in may if _stands(process)}

    def stays(process: Process, at_rest: Set[int]) -> bool:
        linked = all(_is_among(process, one, asleep, calm, ends) for one in process.connections)
        return linked and _only_among(process, at_rest)

    def rests(helper: Process, at_rest: Set[int]) -> bool:
        """Whether nobody of the job may ask it for something: a fork server tells of the ends of others' children."""
        asks = {pid for call in helper.blocking_calls for pid in call.others if (helper.host, pid) in of_job}
        return asks <= at_rest

    while True:
        still = [one for one in processes if one.rank in asleep or one.rank in resting]
        at_rest: dict[str, set[int]] = {}
        for process in still:
            at_rest.setdefault(process.host, set()).add(process.pid)
        woken = {one.rank for one in still if not (stays if one.rank in asleep else rests)(one, at_rest[one.host])}
        if not woken:
            return frozenset(asleep)
        asleep -= woken
        resting -= woken


def _stands(process: Process) -> bool:
    """Whether all that it does stands still, in calls that do not come back by themselves soon."""
    if process.dump or len(process.samples) < 2 or not process.samples[-1].threads or not process.threads:
        return False
    tells = _that_tells(process)
    positions = {position.tid: position for _, position in pairs(process) if position.tid != tells}
    calls = {call.tid: call for call in process.blocking_calls}
    if any(position.has(*_FROM_OUTSIDE) for position in positions.values()) or uses(process, _OWN_TIMERS):
        return False
    if all(any(position.has(role) for position in positions.values()) for role in _TUNED_END):
        return False
    return all(
        _sleeps(process, thread.tid, calls.get(thread.tid), positions.get(thread.tid))
        for thread in process.samples[-1].threads
        if thread.tid != tells and not _is_quiet(positions.get(thread.tid))
    ) and not any(_was_elsewhere(position, calls.get(position.tid)) for position in positions.values())


def _that_tells(process: Process) -> int:
    """The main thread where it does nothing but tell by the clock how it goes; 0 else."""
    main = main_position(process)
    return main.tid if main is not None and only_tells(process) else 0


def _was_elsewhere(position: Position, call: BlockingCall | None) -> bool:
    """Whether it slept by the clock when its call was read, and no more when its stack was, or the other way round."""
    if call is None:
        return False
    sleeps = position.waits is WaitKind.TIME
    return call.kind == "futex" if sleeps else call.kind == "time" and position.waits in _FOR_OTHERS


def _sleeps(process: Process, tid: int, call: BlockingCall | None, position: Position | None) -> bool:
    if call is None or not did_not_run(process, tid):
        return False
    if position is not None and position.has(*_ASKS_AGAIN) and call.kind != "time":
        return True
    since = next((one.last_ran for one in process.samples[-1].threads if one.tid == tid), 0.0)
    with_others = position is not None and position.has(Role.COLLECTIVE, Role.BARRIER)
    soon = SOON if with_others or tid == process.pid else FAR
    return not (call.limited or call.kind == "time") or call.ends_in - max(since, 0.0) > soon


def _is_quiet(position: Position | None) -> bool:
    return position is not None and is_idle(position)


def _has_nothing_to_do(process: Process) -> bool:
    return bool(process.threads) and all(is_idle(position) for _, position in pairs(process))


def _only_among(process: Process, pids: Set[int]) -> bool:
    """Whether all that could end its waits belongs to these processes."""

    def sleeps(pid: int) -> bool:
        return pid in pids

    def ends_among(call: BlockingCall) -> bool:
        if listens(call, process) and (call.tid not in quiet or call.tid in serving or not is_rank):
            return False
        if (
            call.kind in ("mutex", "time")
            or (call.tid == tells and not call.others)
            or (call.tid in quiet and call.what in _OWN_EVENTS)
        ):
            return True
        if call.kind == "socket" and " -> " in call.what:
            return call.what in known
        if call.kind == "several" and _OUTSIDE_KINDS.search(call.what):
            return False
        if call.kind in ("several", "futex"):
            return all(map(sleeps, call.others))
        named = call.kind in ("pipe", "child") or call.what.startswith("socket:[")
        return (call.kind == "socket" and call.tid in quiet) or (
            named and bool(call.others) and all(map(sleeps, call.others))
        )

    tells = _that_tells(process)
    quiet = {position.tid for _, position in pairs(process) if is_idle(position)}
    serving = {position.tid for _, position in pairs(process) if position.has(Role.SERVE)}
    is_rank = parse(process.rank).kind is RankKind.RANK  # its library listens for those that it knows
    known = {f"{one.local} -> {one.remote}" for one in process.connections}
    return all(map(ends_among, process.blocking_calls))


def _is_among(process: Process, one: Connection, asleep: Set[str], calm: Set[str], ends: _Ends) -> bool:
    """Whether nothing is on its way over a connection, nor can come but from one of these."""
    if one.state == "SYN_SENT" or one.unread or one.unsent or one.unacked:
        return False
    if one.state != "ESTABLISHED":
        return True
    others = ends.get(_key(process.host, one.remote, one.local), [])
    return bool(others) and all(
        (who.rank in asleep or who.rank in calm) and not (its.unsent or its.unacked) for who, its in others
    )


def _key(host: str, local: str, remote: str) -> tuple[str, str, str]:
    """Addresses of the loopback are every host's own."""
    return host if local.startswith(("127.", "[::1]", "::1")) else "", local, remote
