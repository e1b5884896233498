"""Facts of logs as collectives of ranks, and which ranks a log says there are. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from diagnostics.collector.sources.collectives import label
from diagnostics.model import Collective, FactKind, Frame, LogFact

KEPT = 64


def collectives_of(facts: Iterable[LogFact], stack: tuple[Frame, ...] = ()) -> tuple[Collective, ...]:
    """The collectives that a rank's watchdog spoke of: those that timed out, the last enqueued, the last completed."""
    made: dict[tuple[str, int], Collective] = {}
    timed_out = [fact for fact in facts if fact.kind is FactKind.TIMED_OUT and "number" in fact.values]
    statuses = [fact for fact in facts if fact.kind is FactKind.STATUS]
    for fact in timed_out:
        group = _group_of(fact, statuses)
        number = int(fact.values["number"])
        made[group, number] = Collective(
            group, number, operation(fact.values.get("operation", "")), fact.values.get("elements_in", ""),
            "timed-out", stack,
        )  # fmt: skip
    for status in statuses if not made else ():  # of a rank that gave one up, that one tells most
        group = _name(status)
        enqueued, completed = (int(status.values.get(key, "-1")) for key in ("enqueued", "completed"))
        if enqueued > 0:
            state = "completed" if completed >= enqueued else "enqueued"
            made[group, enqueued] = Collective(group, enqueued, "", state=state)
    return tuple(sorted(made.values(), key=lambda one: (one.group, one.seq)))[-KEPT:]


def _group_of(fact: LogFact, statuses: Iterable[LogFact]) -> str:
    """The watchdog names the group in another line, with the same number."""
    number = fact.values["number"]
    named = [status for status in statuses if status.values.get("number") == number]
    return _name(named[0] if named else fact)


def _name(said: LogFact) -> str:
    values = said.values
    return label(values.get("guid", ""), values.get("group", "")) or values.get("pg", "")


_PLAIN = {
    "_allgather_base": "all_gather", "allgather": "all_gather", "allreduce": "all_reduce",
    "_reduce_scatter_base": "reduce_scatter", "alltoall": "all_to_all", "alltoall_base": "all_to_all",
    "allgather_coalesced": "all_gather", "allreduce_coalesced": "all_reduce", "_broadcast_oop": "broadcast",
    "_reduce_oop": "reduce", "recvanysource": "recv", "reduce_scatter_tensor_coalesced": "reduce_scatter",
    "allgather_into_tensor_coalesced": "all_gather", "monitoredbarrier": "barrier",
}  # fmt: skip


def operation(name: str) -> str:
    """`_ALLGATHER_BASE` -> `all_gather`."""
    low = name.lower()
    return _PLAIN.get(low, low)
