"""Receives that escape the abort of their step (TensorFlow 1.4 to 1.15): cause `tf-late-recv-after-abort`.

`RegisterCall` puts a receive into its rendezvous; where that was aborted already it cancels the receive at once, which
does nothing as it has no callback yet: window A (closed in 1.13 by a look at the status before it is sent). Then
the RPC starts and sets the callback; an abort in between cancels as much in vain: window B.

A step has hundreds of receives, so each is probed once only, and where gRPC is handed it: its callback is installed by
then, so the probe widens no window, and only who asks comes there. The kernel remembers who sent each RPC last, and
which cancellations found no callback. Which receives are open, and in which step, is read from the calls themselves
at the end. Nothing is told while the job runs: a line would wake its reader, which takes processor time from the job.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress

from msgspec.structs import replace

from diagnostics.collector.memory import search
from diagnostics.collector.memory.elf import Library
from diagnostics.collector.memory.process import Memory, Unreadable
from diagnostics.collector.memory.tensorflow1 import (
    ABORT_CALL,
    CALL_TABLE,
    LIBRARY,
    Layout,
    OpenCall,
    base_of,
    layout_of,
    open_call,
)
from diagnostics.collector.sources.tensorflow1_receives import MOST
from diagnostics.frameworks.tensorflow1.judge import has_settled, judge_receives
from diagnostics.frameworks.tensorflow1.probes import Decoded, Event, Probe, ProbeSet, Scope
from diagnostics.frameworks.tensorflow1.receives import SLOTS, rank_of

_STATUS = "*(uint64 *)({})"  # nothing where it is OK
_CODE = f"*(uint32 *)({_STATUS})"
_CALLBACK = "*(uint64 *)(arg0 + {callback})"
_BOUND = 16
"""Bytes before a std::function's manager is what its lambda has bound, or the address of that."""
_STATE = 704
"""Bytes of what the framework keeps for one RPC, at most: 176 in 1.15, 656 in 1.13."""


def offsets(library: Library) -> Mapping[str, int] | None:
    found = library.find([CALL_TABLE, *(probe.symbol for probe in SENDS)])
    layout, table = layout_of(library), found.pop(CALL_TABLE, None)
    return {**named(layout), "table": table.address + 16} if layout and table and found else None


def named(layout: Layout) -> Mapping[str, int]:
    """For the placeholders in the expressions."""
    return {"status": layout.status, "options": layout.options, "callback": layout.options + layout.callback}


def look(decoded: Decoded, scope: Scope, offsets: Mapping[str, int]) -> tuple[Event, ...]:
    """Receives whose RPC is out, and whose return nobody was told of: those that an abort missed, or, where a job
    stands still without one, all."""
    missed = _look(decoded, scope, offsets, everywhere=False)
    latest = max((event.at for event in decoded.events if event.kind == "send"), default=0)
    if missed or not latest or not has_settled(latest, scope):
        return missed
    return _look(decoded, scope, offsets, everywhere=True)


def _look(decoded: Decoded, scope: Scope, offsets: Mapping[str, int], everywhere: bool) -> tuple[Event, ...]:
    found: list[Event] = []
    for pid in scope.ranks:
        events = [event for event in decoded.events if event.pid == pid]
        cancels = {event.numbers["call"]: event.at for event in events if event.kind == "cancel"}
        owners = _owners(events)
        with suppress(Unreadable, OSError), Memory(pid) as memory:  # a process that has ended waits for nothing
            for address in _all_calls(memory, scope, offsets) if everywhere else cancels:
                call = open_call(memory, address, offsets["status"])
                if call and memory.word(address + offsets["callback"]):
                    bound = memory.word(address + offsets["callback"] - _BOUND)
                    states = (memory.word(bound), bound)
                    sent = _sent(events, states, cancels[address]) if address in cancels else None
                    found.append(_event(pid, call, owners, sent))
    return tuple(found)


def _owners(events: Iterable[Event]) -> dict[int, int]:
    """step -> rendezvous, 0 where it was not aborted."""
    owners: dict[int, int] = {}
    for event in events:
        if event.kind == "abort":
            owners[event.numbers["step"]] = event.numbers["owner"]
        elif event.kind == "run":
            owners.setdefault(event.numbers["step"], 0)
    return owners


def _all_calls(memory: Memory, scope: Scope, offsets: Mapping[str, int]) -> list[int]:
    base, runs = base_of(memory, scope.library.name), search.used(memory)
    if not base or search.size_of(runs) > MOST:
        return []
    return [address for address, _ in search.find(memory, runs, (base + offsets["table"],))]


def _sent(events: Iterable[Event], states: Iterable[int], cancelled: int) -> Event | None:
    """The send after the cancellation whose address lies in the RPC's state. Older ones are of states that lay there
    before, those further behind are of the next."""
    sends = [event for event in events if event.kind == "send" and event.at >= cancelled]
    for state in states:
        mine = [event for event in sends if 0 <= event.numbers["state"] - state < _STATE]
        if mine:
            return min(mine, key=lambda event: event.numbers["state"])
    return None


def _event(pid: int, call: OpenCall, owners: dict[int, int], sent: Event | None) -> Event:
    step = next((step for step in reversed(owners) if step in call.words), 0)
    numbers = {
        "call": call.address, "code": call.status, "step": step, "owner": owners.get(step, 0),
        "sent": sent.at if sent else 0,
    }  # fmt: skip
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    return Event(now, "open", pid, sent.tid if sent else 0, numbers, rank_of(call.server))


REGISTER = Probe(
    "register", "R", "_ZN10tensorflow20BaseRemoteRendezvous12RegisterCallE",
    {"owner": "arg0", "call": "arg1", "step": "*(uint64 *)(arg0 + 24)"},
)  # fmt: skip
SENDS = tuple(
    # The address of the request, or until 1.4 a tag: both lie within what the framework keeps for the RPC.
    Probe("send", letter, symbol, {"state": value, "slot": f"({value} >> 4) & ({{share}} - 1)"}, needed=False)
    for letter, symbol, value in (
        ("T", "_ZN4grpc11GenericStub16PrepareUnaryCallE", "arg4"),
        ("U", "_ZN4grpc11GenericStub4CallE", "arg5"),
    )
)
CANCEL = Probe("cancel", "A", ABORT_CALL, {"call": "arg0", "callback": _CALLBACK})
ABORT = Probe(
    "abort", "B", "_ZN10tensorflow20BaseRemoteRendezvous10StartAbortE",
    {"owner": "arg0", "step": "*(uint64 *)(arg0 + 24)", "code": _CODE.format("arg1")},
)  # fmt: skip
RUN = Probe("run", "E", "_ZN10tensorflow8GraphMgr12ExecuteAsyncE", {"step": "arg2"})
PARTS = (
    # What the master hears of the parts of a step that fail.
    Probe(
        "part", "M", "_ZN10tensorflow13RunManyGraphs8WhenDoneEiRKNS_6StatusE",
        {"master": "arg0", "part": "arg1", "code": _CODE.format("arg2")}, needed=False, when=_STATUS.format("arg2"),
    ),
    Probe(
        # In 1.15 the error is in the response, and not in this status.
        "part", "N", "_ZN10tensorflow13RunManyGraphs8WhenDoneEiRKSs", {"master": "arg0", "part": "arg1"}, needed=False,
    ),
)  # fmt: skip

SET = ProbeSet(
    name="rendezvous",
    summary="receives that escape their step's abort (TensorFlow 1.4 to 1.15)",
    libraries=(LIBRARY,),
    probes=(
        *(replace(send, remember=("slot",)) for send in SENDS),
        replace(CANCEL, remember=("call",), when=f"!{_CALLBACK}"),
        # Only the first of a step cancels. A step that hangs keeps its rendezvous, and its master, where they are.
        replace(ABORT, remember=("owner",), first_of="step"),
        replace(RUN, numbers={**RUN.numbers, "slot": f"arg2 & {SLOTS - 1}"}, remember=("slot",)),
        *(replace(part, remember=("master", "part")) for part in PARTS),
    ),
    judge=judge_receives,
    offsets=offsets,
    proves="tf-late-recv-after-abort",
    look=look,
)
