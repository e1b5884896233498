"""Which thread of a server is at work for a client, by the connection between them. Pure.

A server's main thread waits for the next client. That tells nothing of one that waits for its answer: the thread that
has that client's connection does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from diagnostics.analyze.family import listens
from diagnostics.analyze.stillness import stood_still
from diagnostics.model import BlockingCall, Position, Process, Role, State, WaitKind
from diagnostics.stacks.position import is_idle, main_position, pairs


def serving_thread(server: Process, connection: str) -> int:
    """The thread that serves a client, by its `local -> remote`; 0 where it is the main thread, or is not known.

    It reads from that client. Where none does: of the threads that serve nobody else, if all of them stand at one
    place, any; they wait for the same. A server that gets on may answer by whichever thread.
    """
    main = main_position(server)
    if main is None or server.state in (State.PROGRESSING, State.SLOW):
        return 0
    local, _, remote = connection.partition(" -> ")
    calls = {call.tid: call for call in server.blocking_calls if call.tid != main.tid}
    reading = [tid for tid, call in calls.items() if call.what == f"{remote} -> {local}"]
    if reading:
        return reading[0] if stood_still(server, reading[0]) else 0
    if not (main.has(Role.SERVE) or _accepts(server, main)):
        return 0
    left = [one for one in _at_work(server, main) if not _serves_another(calls.get(one.tid))]
    alike = len({(one.place, one.waits) for one in left}) == 1
    return left[0].tid if alike and stood_still(server, left[0].tid) else 0


def _accepts(server: Process, main: Position) -> bool:
    return any(call.tid == main.tid and listens(call, server) for call in server.blocking_calls)


def _at_work(server: Process, main: Position) -> list[Position]:
    return [
        one for _, one in pairs(server)
        if one.tid != main.tid and one.own and not is_idle(one) and one.waits is not WaitKind.TIME
    ]  # fmt: skip


def _serves_another(call: BlockingCall | None) -> bool:
    """Whether it reads from a connection, which is not the one that was asked for."""
    return call is not None and call.kind == "socket" and " -> " in call.what


class HeldUp(NamedTuple):
    """`threads` of a server wait for one lock, each for a client. `clients`: who else is connected, by process id."""

    threads: tuple[Position, ...]
    clients: frozenset[int]


def held_up(server: Process) -> HeldUp | None:
    """What serves clients, where all of it waits for one lock, but for threads that wait for a client's next request.

    Only a client takes and gives back such a lock (that of a multiprocessing Manager, say), by its own thread. One that
    is connected and does not wait for it has a thread that reads; where there is none, whoever took this lock is gone,
    or wants it again.
    """
    main = main_position(server)
    calls = {call.tid: call for call in server.blocking_calls}
    serving = [
        one for _, one in pairs(server)
        if one.has(Role.SERVE) and (main is None or one.tid != main.tid) and not _is_listening(calls.get(one.tid))
    ]  # fmt: skip
    reading = {one.tid: calls[one.tid] for one in serving if _reads(calls.get(one.tid))}
    waiting = [one for one in serving if one.tid not in reading]
    wanted = {call.what if (call := calls.get(one.tid)) and call.kind == "futex" else "" for one in waiting}
    stand = all(one.waits is WaitKind.LOCK and not one.limited and stood_still(server, one.tid) for one in waiting)
    if not stand or len(wanted) != 1 or wanted == {""}:
        return None
    clients = {pid for call in reading.values() for pid in call.others or (0,)} - {server.pid}
    return HeldUp(tuple(waiting), frozenset(clients))


def _is_listening(call: BlockingCall | None) -> bool:
    return call is not None and call.call.startswith("accept")


def _reads(call: BlockingCall | None) -> bool:
    return call is not None and call.kind == "socket" and call.call.startswith(("read", "recv", "poll"))


def may_answer_elsewhere(server: Process, tid: int) -> bool:
    """Whether a thread other than the one that reads a client's requests may write the answer."""
    main = main_position(server)
    others: Sequence[Position] = _at_work(server, main) if main else ()
    calls = {call.tid: call for call in server.blocking_calls}
    reader = tid or (main.tid if main else 0)
    return any(one.tid != reader and not _serves_another(calls.get(one.tid)) for one in others)
