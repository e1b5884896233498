"""Receives that escape the abort of their step (TensorFlow 1.4 to 1.15): cause `tf-late-recv-after-abort`.

`RegisterCall` puts a receive into its rendezvous; where that was aborted already it cancels the receive at once, which
does nothing as it has no callback yet: window A (closed in 1.13 by a look at the status before it is sent). Then
the RPC starts and sets the callback; an abort in between cancels as much in vain: window B.

A step has hundreds of receives, and each is probed once only, where it installs its callback: a probe where it is
registered makes the job hang twice as often. The kernel remembers who sent each, and which cancellations found no
callback. Which of them are open, and in which step, is read from the calls themselves at the end. Nothing is told while
the job runs: a line would wake its reader, which takes processor time from the job.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress

from msgspec.structs import replace

from diagnostics.errors import MissingError
from diagnostics.trace.elf import ABORT_CALL, Library, layout_of
from diagnostics.trace.events import Decoded, Event
from diagnostics.trace.judge import judge_receives
from diagnostics.trace.memory import CALL_TABLE, PAGE, Memory, open_call
from diagnostics.trace.probes import Probe, ProbeSet, Scope
from diagnostics.trace.receives import SLOTS

_STATUS = "*(uint64 *)({})"  # nothing where it is OK
_CODE = f"*(uint32 *)({_STATUS})"
_CALLBACK = "*(uint64 *)(arg0 + {callback})"


def offsets(library: Library) -> Mapping[str, int] | None:
    layout, table = layout_of(library), library.find([CALL_TABLE]).get(CALL_TABLE)
    return {**layout.named(), "table": (table.address + 16) % PAGE} if layout and table else None


def look(decoded: Decoded, scope: Scope, offsets: Mapping[str, int]) -> tuple[Event, ...]:
    """Calls whose RPC is out, so that there is a callback to cancel it by, and whose return nobody was told of."""
    calls: dict[int, list[int]] = defaultdict(list)
    owners: dict[int, dict[int, int]] = defaultdict(dict)  # step -> rendezvous, where it was aborted
    for event in decoded.events:
        if event.kind == "start":
            calls[event.pid].append(event.numbers["call"] - offsets["options"])
        elif event.kind == "abort":
            owners[event.pid][event.numbers["step"]] = event.numbers["owner"]
        elif event.kind == "run":
            owners[event.pid].setdefault(event.numbers["step"], 0)
    found = []
    for pid, addresses in calls.items():
        with suppress(MissingError), Memory(pid) as memory:  # a process that has ended waits for nothing
            for address in addresses:
                call = open_call(memory, address, offsets["status"])
                if call and memory.number(address + offsets["callback"]):
                    step = next((step for step in reversed(owners[pid]) if step in call.words), 0)
                    numbers = {"call": address, "code": call.status, "step": step, "owner": owners[pid].get(step, 0)}
                    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
                    found.append(Event(now, "open", pid, 0, numbers, call.server))
    return tuple(found)


REGISTER = Probe(
    "register", "R", "_ZN10tensorflow20BaseRemoteRendezvous12RegisterCallE",
    {"owner": "arg0", "call": "arg1", "step": "*(uint64 *)(arg0 + 24)"},
)  # fmt: skip
SEND = Probe(
    "start", "T", "_ZN10tensorflow11CallOptions17SetCancelCallbackE", {"call": "arg0"},
    # The options of a receive only, not of other RPCs: its table of virtual functions lies so far into a page.
    when=f"(*(uint64 *)(arg0 - {{options}}) & {PAGE - 1}) == {{table}}",
)  # fmt: skip
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
    libraries=("_pywrap_tensorflow_internal.so",),
    probes=(
        replace(SEND, remember=("call",)),
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
