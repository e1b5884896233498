"""Facts of logs as collectives of ranks, and which ranks a log says there are. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from diagnostics.collector.sources.collectives import label
from diagnostics.model import Collective, FactKind, Frame, LogFact

KEPT = 64


Groups = Mapping[str, str]  # number of a collective -> the group that a log names for it


def groups_named(facts: Iterable[LogFact]) -> Groups:
    """By what all ranks of a log say: the line that names the group gives a number, and a collective's line the same.

    Numbers that are given for several groups tell nothing.
    """
    named: dict[str, set[str]] = {}
    for fact in facts:
        if fact.kind is FactKind.STATUS and "number" in fact.values and (group := _name(fact)):
            named.setdefault(fact.values["number"], set()).add(group)
    return {number: next(iter(groups)) for number, groups in named.items() if len(groups) == 1}


def collectives_of(
    facts: Sequence[LogFact], stack: tuple[Frame, ...] = (), groups: Groups = MappingProxyType({})
) -> tuple[Collective, ...]:
    """The collectives that a rank's watchdog spoke of: of each group the first that did not complete, else the last.

    What it has enqueued beyond is no collective that it stands in, and not every rank's lines tell it.
    """
    made: dict[tuple[str, int], Collective] = {}
    own = groups_named(facts)
    for fact in facts:
        if fact.kind is FactKind.TIMED_OUT and "number" in fact.values:
            number = fact.values["number"]
            group = own.get(number) or _name(fact) or groups.get(number, "")
            made[group, int(number)] = Collective(
                group, int(number), operation(fact.values.get("operation", "")), fact.values.get("elements_in", ""),
                "timed-out", stack,
            )  # fmt: skip
    known = {group for group, _ in made}
    for status in facts:
        if status.kind is FactKind.STATUS and (group := _name(status)) not in known:
            at, state = _stands_in(status)
            if at > 0:
                made[group, at] = Collective(group, at, "", state=state)
    return tuple(sorted(made.values(), key=lambda one: (one.group, one.seq)))[-KEPT:]


def _stands_in(status: LogFact) -> tuple[int, str]:
    failed, enqueued, completed = (int(status.values.get(key, "-1")) for key in ("number", "enqueued", "completed"))
    if failed > 0:
        return failed, "timed-out"
    return (completed + 1, "started") if enqueued > completed >= 0 else (enqueued, "completed")


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
