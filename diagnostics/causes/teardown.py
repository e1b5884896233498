"""The job is at its end, and a rank waits there for ranks that do not come.

What carries the cause: a rank stands in a barrier, or in what takes the process group apart, and the others have left
the loop: they have finished, or stand still outside of any collective.
"""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.analyze.collectives import collective_of
from diagnostics.analyze.facts import Facts, names
from diagnostics.analyze.progress import is_server
from diagnostics.analyze.thread_waits import short
from diagnostics.causes.absent import look_at_absent
from diagnostics.causes.base import Case, Cause, Remedy
from diagnostics.model import Process, State
from diagnostics.stacks.prefix_tree import main_thread

_TAKES_APART = frozenset({"destroy_process_group", "_exit_function", "_shutdown", "_shutdown_backend"})
_BARRIERS = frozenset({"barrier", "monitored_barrier"})


def examine(facts: Facts) -> Case | None:
    ranks = [p for p in facts.processes if not is_server(p.rank) and not p.rank.startswith("child/")]
    inside = [process for process in ranks if collective_of(process) in _BARRIERS or _takes_apart(process)]
    outside = [process for process in ranks if process not in inside and not collective_of(process)]
    if not inside or not outside or len(inside) + len(outside) < len(ranks):
        return None
    case = Case("teardown")
    where = "while the process group is taken apart" if _takes_apart(inside[0]) else "at a barrier"
    case.saw("waits", f"waits {where} for the other ranks", "stacks", names(inside))
    if any(process.state in (State.PROGRESSING, State.SLOW) for process in inside):
        case.saw("moves", "one of them moves", "two samples", names(inside))
    look_at_absent(case, outside)
    _look_at_ends(case, inside)
    return case


def _takes_apart(process: Process) -> bool:
    main = main_thread(process)
    return any(short(frame) in _TAKES_APART for frame in (main.frames if main else ()) if not frame.native)


def _look_at_ends(case: Case, inside: Sequence[Process]) -> None:
    flights = [process.flight for process in inside if process.flight]
    if not flights:
        case.needs("whether their training had ended: the flight recorder tells, or the last step in the logs")
    elif any(flight.open for flight in flights):
        case.saw("not-done", "has an epoch or a step open: it was not done", "recorder", names(inside))
    else:
        said = "every epoch that it began has ended: it was done with training"
        case.saw("done", said, "recorder", names(inside))


CAUSE = Cause(
    id="teardown",
    family="teardown",
    title="A rank waits at the job's last barrier for ranks that have left without it",
    examine=examine,
    not_to_be_confused_with=(
        "A barrier before a save, or while another rank evaluates, looks the same from the rank that waits: it is what "
        "the others do that tells. A rank that waits in an all-reduce of a step has more data than the rest."
    ),
    versions="torch.distributed of any release; any program with a barrier at its end",
    remedies=(
        Remedy(
            "same-way-out",
            "Let every rank take the same way out: no `return` or sys.exit() before the last barrier, not in an "
            "exception's handler either",
        ),
        Remedy("destroy-once", "Call destroy_process_group() on every rank, in a `finally`, and once"),
        Remedy(
            "monitored-barrier",
            "Give the last barrier a short timeout: dist.monitored_barrier(timeout=...) names the rank that does "
            "not come",
        ),
    ),
    references=(
        "https://pytorch.org/docs/stable/distributed.html#shutdown",
        "https://pytorch.org/docs/stable/distributed.html#torch.distributed.monitored_barrier",
    ),
    scenario="teardown",
    search_for=(
        "    gloo::transport::UnboundBuffer::waitRecv(...)",
        "    c10d::ProcessGroupGloo::AsyncBarrierWork::run() (libtorch_cpu.so)",
        "    barrier (torch/distributed/distributed_c10d.py)",
        "    end (train.py:38)",
    ),
)
