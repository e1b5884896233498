"""What one rank sends does not reach another: the kernel sends it again and again, and nobody acknowledges.

Which direction is broken shows on the other end. If the receiver has more bytes than the sender knows to be
acknowledged, the data arrives and the acknowledgements are lost: the way back is broken. A process that only stands
still does not look like this, because its kernel goes on acknowledging.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from diagnostics.analyze.facts import Facts
from diagnostics.analyze.job import UNANSWERED, ends_of
from diagnostics.causes.base import Case, Cause, Remedy
from diagnostics.model import Connection, Process


class Broken(NamedTuple):
    sender: str
    receiver: str
    connection: Connection
    seen_by: str


def broken(facts: Facts) -> Iterator[Broken]:
    """Directions in which nothing arrives, as far as both ends tell."""
    ends = ends_of(facts.processes)
    for process in facts.processes:
        for connection in process.connections:
            if not connection.peer or connection.peer == process.rank or not _unanswered(connection):
                continue
            other = ends.get((connection.remote, connection.local))
            # An active open counts 1 more as acknowledged than it sent, so a difference of 1 says nothing.
            arrived = other is not None and other.bytes_received > connection.bytes_acked
            if arrived:
                yield Broken(connection.peer, process.rank, connection, process.rank)
            else:
                yield Broken(process.rank, connection.peer, connection, process.rank)


def _unanswered(one: Connection) -> bool:
    return (one.state == "SYN_SENT" and one.backoff > 0) or (one.backoff >= UNANSWERED and one.unacked > 0)


def examine(facts: Facts) -> Case | None:
    found = list(broken(facts))
    if not found:
        return None
    case = Case("network-partition")
    pairs = dict.fromkeys((one.sender, one.receiver) for one in found)
    case.title = "; ".join(f"what {sender} sends does not reach {receiver}" for sender, receiver in pairs)
    alive = {process.rank for process in facts.processes if process not in facts.gone}
    for sender, receiver in pairs:
        seen = next(one for one in found if (one.sender, one.receiver) == (sender, receiver))
        what = "connection attempts" if seen.connection.state == "SYN_SENT" else "data"
        said = (
            f"{what} from {sender} to {receiver} are lost"
            if seen.seen_by == sender
            else f"acknowledgements from {sender} to {receiver} are lost"
        )
        said += f": sent {seen.connection.backoff} times again without an answer"
        case.saw("lost", said, "TCP_INFO", [seen.seen_by])
        if {sender, receiver} <= alive:
            case.saw("both-alive", "both ends are alive", "processes", [sender, receiver])
        else:
            case.saw("gone", "one of them is gone", "processes", [sender, receiver])
    if all((receiver, sender) in pairs for sender, receiver in pairs):
        cut = sorted({rank for pair in pairs for rank in pair})
        case.saw("both-ways", "in both directions", "TCP_INFO", cut)
    _other_ways(case, facts, {rank for pair in pairs for rank in pair})
    return case


def _other_ways(case: Case, facts: Facts, cut: set[str]) -> None:
    """That the same ranks still reach others says that it is the way between them."""
    sound = [
        process.rank
        for process in facts.processes
        if process.rank in cut
        and any(_is_sound(process, connection) and connection.peer not in cut for connection in process.connections)
    ]
    if sound:
        case.saw("others-reached", "their connections to others are sound", "TCP_INFO", sound)


def _is_sound(process: Process, one: Connection) -> bool:
    return one.state == "ESTABLISHED" and not one.backoff and bool(one.peer) and one.peer != process.rank


CAUSE = Cause(
    id="network-partition",
    family="network-partition",
    title="What one rank sends does not reach another",
    examine=examine,
    not_to_be_confused_with=(
        "A slow or lossy link also sends again, but some of it is acknowledged, and the count in a row stays low. A "
        "frozen or busy peer acknowledges everything, since its kernel does."
    ),
    versions="any",
    remedies=(
        Remedy("look-between", "Look at what lies between the two: firewall and network policy, switch, route, MTU"),
        Remedy(
            "keepalive",
            "Let connections notice: GRPC_ARG_KEEPALIVE_TIME_MS where the framework takes it, or tcp_retries2",
        ),
    ),
    references=("https://man7.org/linux/man-pages/man7/tcp.7.html",),
)
