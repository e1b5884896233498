"""Waits at a connection that end by themselves: at a pace of its own, or when a peer outside of the job speaks. Pure.

What lies unread in a process's socket is no answer that it misses: one that sleeps beside it, and wakes by a time of
its own, holds itself back (`curl --limit-rate`, a client that keeps to a quota). And who alone waits for an address
outside of the job may have nothing to wait for but the next message: a chat, a subscription, a long poll.
"""

from __future__ import annotations

from diagnostics.analyze.clocks import SOON
from diagnostics.analyze.progress import Limits
from diagnostics.analyze.stillness import stood_still
from diagnostics.model import BlockingCall, Connection, Position, Process, WaitKind
from diagnostics.model.rank import RankKind, parse
from diagnostics.stacks.position import is_idle, main_position, pairs

_PACE = 10
"""Times `Limits.stands` that a process may hold itself back: curl that has read a full socket at once sleeps until that
was within its limit, some megabytes at tens of kilobytes a second."""
_OWED = 3
"""The same of one that alone waits for an answer from outside: servers answer long polls within a minute."""
_UNASKED = 10
"""The same where the other side spoke last, which need not say more soon."""
_ANSWER = "HTTP"
"""Operations that wait for an answer, or the rest of one, whoever spoke last."""


def paces_itself(process: Process, limits: Limits) -> str:
    """What it leaves unread while it sleeps by a time of its own, in words; "" where it does not hold itself back.

    Only where nothing else of it is at work, and where its framework has no part in the wait: an event loop that has
    stopped to read may wait for its own tasks.
    """
    main = main_position(process)
    call = _call_of(process, main)
    if main is None or call is None or main.roles or not _wakes_by_clock(process, main, call):
        return ""
    if any(one.tid != main.tid and not is_idle(one) for _, one in pairs(process)):
        return ""
    unread = [one for one in process.connections if one.unread and one.state == "ESTABLISHED" and not _asks(call, one)]
    left = next((one for one in unread if one.last_received < _PACE * limits.stands), None)
    return f"wakes by its own time, and leaves {left.unread} bytes from {left.remote} unread until then" if left else ""


def _wakes_by_clock(process: Process, main: Position, call: BlockingCall) -> bool:
    """Whether it sleeps, or asks files, for a time that it has set. A notification is another thread's affair."""
    sleeps = call.kind == "time" and main.waits is WaitKind.TIME
    asks = call.limited and call.kind in ("socket", "several", "pipe", "event")
    return (sleeps or asks) and 0 <= call.ends_in <= SOON and not (asks and stood_still(process, main.tid))


def _asks(call: BlockingCall, one: Connection) -> bool:
    return call.what == f"{one.local} -> {one.remote}"


def waits_outside(process: Process, limits: Limits) -> tuple[str, float]:
    """The address outside of what was looked at from which its main thread waits for data, and for how long it may.

    ("", 0) for any other wait, and for one that ranks of a job make: others need what it waits for.
    """
    main = main_position(process)
    call = _call_of(process, main)
    if main is None or call is None or call.peer or call.others or main.waits is not WaitKind.SOCKET:
        return "", 0.0
    link = next((one for one in process.connections if _asks(call, one)), None)
    if link is None or link.state != "ESTABLISHED" or link.unread or link.unsent:
        return "", 0.0
    if parse(process.rank).kind is RankKind.RANK:
        return "", 0.0
    owed = main.operation.startswith(_ANSWER) or link.last_received < 0 or link.last_sent <= link.last_received
    return link.remote, (_OWED if owed else _UNASKED) * limits.stands


def _call_of(process: Process, position: Position | None) -> BlockingCall | None:
    return next((one for one in process.blocking_calls if position and one.tid == position.tid), None)
