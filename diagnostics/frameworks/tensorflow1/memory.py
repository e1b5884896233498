"""What a job that stands still has in memory: receives that are open, and servers that were never told of the step.

The collector reads them where the processes are (`diagnostics.collector.sources.tensorflow1_receives`); here it is
judged what they mean together. A receive and the server that it asks may be on different hosts.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import msgspec

from diagnostics.collector.sources.tensorflow1_receives import MOST
from diagnostics.errors import MissingError
from diagnostics.frameworks.tensorflow1.receives import STATUS_WORDS, rank_of
from diagnostics.model import Process
from diagnostics.model.trace import Count, Escaped, TraceResult, TraceVerdict
from diagnostics.transport import Reach, ask

SOURCE = "tensorflow1_receives"
SECONDS = 40.0
"""For all processes of a host, unless there is no limit."""


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A receive whose return nobody has been told of. `status` is a code of the framework, 0: not aborted."""

    address: int
    server: str
    status: int
    words: frozenset[int]  # what the object holds, to look for a step's number
    tensor: str

    @property
    def asks(self) -> str:
        """The rank, "" where it is not known."""
        return rank_of(self.server)


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rendezvous object of a server. Not `initialized`: no RunGraph of its step has come."""

    step: int
    initialized: bool


class Held(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one process has in memory. `why_not`: why that is not known."""

    calls: tuple[Call, ...] = ()
    tables: tuple[Table, ...] = ()
    library: str = ""
    why_not: str = ""


def read(reach: Reach, processes: Sequence[Process], clients: Container[str], limit: bool = True) -> dict[str, Held]:
    """rank -> what it has in memory; of those whose hosts answered.

    Args:
        clients: ranks whose receives can hold the job.
        limit: whether a process of many GB is left out.

    Raises:
        MissingError: no host gave anything.
    """
    first = [process.pid for process in processes if process.rank in clients]
    wanted = {"first": first, "most": MOST if limit else 0}
    told = ask(reach, SOURCE, processes, wanted, Held, SECONDS if limit else 10 * SECONDS)
    of = {**told.of, **{place: Held(why_not=why) for place, why in told.unusable.items()}}
    held = {one.rank: of[place] for one in processes if (place := (one.host, one.pid)) in of}
    if not held:
        raise MissingError(f"the memory of the job was not read: {'; '.join(told.left_out) or 'no host answered'}")
    return held


def judge(held: Mapping[str, Held], clients: Container[str]) -> TraceResult:
    """What it proves.

    Args:
        clients: those whose receives can hold the job. One of a server that escaped holds nobody.

    Raises:
        MissingError: nothing is proven, and the memory of a client is not known.
    """
    calls = [(rank, call) for rank, one in held.items() if rank in clients for call in one.calls if call.asks]
    aborted = [(rank, call) for rank, call in calls if call.status]
    waiting = [call for _, call in calls if not call.status]
    escaped = tuple(_escaped(rank, call, held) for rank, call in aborted)
    unread = next((one.why_not for rank, one in held.items() if rank in clients and one.why_not), "")
    if unread and not escaped:
        raise MissingError(unread, "Run it with sudo")
    verdict, why = TraceVerdict.REFUTED, "no receive is open in any of these processes"
    if escaped:
        verdict, why = TraceVerdict.PROVEN, _proof(escaped[0], aborted[0][1].status)
    elif waiting:
        asked = ", ".join(sorted({call.asks for call in waiting}))
        verdict = TraceVerdict.NOT_SEEN
        why = f"{len(waiting)} receives are open to {asked}, and none of them was aborted"
    return TraceResult(
        probe_set="rendezvous", verdict=verdict, why=why, method="memory",
        library=next((one.library for one in held.values() if one.library), ""),
        counts=(Count("open and aborted", len(aborted)), Count("open", len(waiting))), escaped=escaped,
        did_not_run=tuple(dict.fromkeys(call.peer for call in escaped if call.peer_ran is False)),
    )  # fmt: skip


def _proof(call: Escaped, code: int) -> str:
    never = " and never ran its step" if call.peer_ran is False else ""
    return (
        f"{call.rank} has a receive open that was aborted ({STATUS_WORDS.get(code, code)}) and waits all the same "
        f"for {call.peer}, which has not answered{never}"
    )


def _escaped(rank: str, call: Call, held: Mapping[str, Held]) -> Escaped:
    # Any server, where nobody is known by that name.
    asked = [call.asks] if call.asks in held else [other for other in held if other != rank]
    of_step = [table for other in asked for table in held[other].tables if table.step in call.words]
    mine = min(of_step, key=lambda table: table.initialized, default=None)
    return Escaped(
        rank=rank, window="", step=f"{mine.step:x}" if mine else "", owner="", call=f"{call.address:x}",
        peer=call.asks, thread=0, aborted_by=0, distance=0.0, came_back=False,
        peer_ran=mine.initialized if mine else None, tensor=call.tensor,
    )  # fmt: skip
