"""What ranks have recorded of each process group, since it was formed last. Pure.

A group that was given up and formed anew under its name numbers its collectives from 1 again. Numbers from before say
nothing of it: a rank that has called nothing since has come to none of its collectives.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

from diagnostics.model import Collective, Process

_FIRST = 1
_SEQ, _CALLED_AT = attrgetter("seq"), attrgetter("called_at")
_SEVERAL = 3
"""Threads that call at once may be recorded out of order, so that a lower number alone begins nothing anew."""

Records = Mapping[str, Mapping[str, Sequence[Collective]]]
"""Label of a group ("" where a log does not tell) -> rank -> its collectives, in the order of its record."""


def records_of(processes: Iterable[Process]) -> Records:
    found: dict[str, dict[str, Sequence[Collective]]] = {}
    for process in processes:
        own: defaultdict[str, list[Collective]] = defaultdict(list)
        for one in process.collectives:
            if not one.p2p:
                own[one.group].append(one)
        for label, called in own.items():
            found.setdefault(label, {})[process.rank] = called
    return {label: _newest(called) for label, called in found.items()}


def _newest(called: Mapping[str, Sequence[Collective]]) -> Mapping[str, Sequence[Collective]]:
    begun = {rank: at for rank, collectives in called.items() if (at := _begun_anew(collectives)) >= 0}
    if not begun:
        return called
    first = min(begun.values())
    return {
        rank: [one for one in collectives if one.called_at >= begun.get(rank, -1.0)]
        if rank in begun or any(not 0 <= one.called_at < first for one in collectives)
        else ()
        for rank, collectives in called.items()
    }


def _begun_anew(collectives: Sequence[Collective]) -> float:
    """When its numbers last began again; -1 where they did not, or it is not known in which order it called."""
    if min(map(_SEQ, collectives)) > _FIRST or min(map(_CALLED_AT, collectives)) < 0:
        return -1.0
    found, most = -1.0, 0
    for one in sorted(collectives, key=lambda one: one.called_at):
        if one.seq <= _FIRST and most > _SEVERAL:
            found, most = one.called_at, 0
        most = max(most, one.seq)
    return found
