"""PyTorch's Flight Recorder: `torch_nccl_trace_rank_N` (a pickle) or its JSON form, of NCCL or gloo."""

from __future__ import annotations

import msgspec

from diagnostics.collector.look import plain
from diagnostics.collector.plain_pickle import Refused
from diagnostics.collector.sources import flight_dumps
from diagnostics.collector.sources.flight_dumps import KEPT, looks_like
from diagnostics.errors import EvidenceError
from diagnostics.model import Collective, ProcessGroup

__all__ = ["KEPT", "Recording", "looks_like", "parse"]


class Recording(msgspec.Struct, frozen=True):
    """What one rank recorded. `ranks` are those of the groups that it names."""

    collectives: tuple[Collective, ...]
    ranks: tuple[int, ...]
    groups: tuple[ProcessGroup, ...] = ()


def parse(data: bytes) -> Recording:
    """Raises: EvidenceError: it is cut, broken, or no flight recorder's dump."""
    try:
        found = flight_dumps.parse(data)
    except Refused as error:
        raise EvidenceError(error.message, error.hint) from None
    groups = msgspec.convert(plain(found.groups), tuple[ProcessGroup, ...])
    return Recording(
        msgspec.convert(plain(found.collectives), tuple[Collective, ...]),
        tuple(sorted({rank for group in groups for rank in group.ranks})),
        groups,
    )
