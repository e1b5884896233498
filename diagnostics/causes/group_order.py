"""Ranks entered the collectives of process groups in different orders.

Each waits in one group for a rank that waits in another group, round to the first. What carries the cause: the
framework's own records (PyTorch's ring, NCCL's RAS) show the ranks of a circle, each in a collective of a group in
which the next one has not come so far. The order of the groups need not be known.
"""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.analyze.facts import Facts
from diagnostics.analyze.process_groups import Hop, circles
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import look_at_stillness, main_at, place
from diagnostics.model import Process, State
from diagnostics.stacks.position import main_position
from diagnostics.stacks.spoken import spoken

_SHOWN = 8
_NAMED = 4


def examine(facts: Facts) -> Case | None:
    return likeliest([_case(circle, facts) for circle in circles(facts.groups)])


def _case(circle: tuple[Hop, ...], facts: Facts) -> Case:
    case = Case("group-order")
    processes = {process.rank: process for process in facts.processes}
    ranks, labels = [hop.rank for hop in circle], list(dict.fromkeys(hop.group.label for hop in circle))
    case.title = f"{_listed(ranks)} entered the groups {_listed(labels)} in different orders"
    for hop in circle[:_SHOWN]:
        one = hop.collective
        come = f"has come to {hop.last}" if hop.last else "has not come at all"
        said = f"waits in {spoken(one.op)} {one.seq} of group {one.group}, in which {hop.behind} {come}"
        case.saw("crossed", said, "flight recorder", [hop.rank])
        if where := _called_from(processes[hop.rank]):
            case.saw("at", f"called from {where}", "stacks", [hop.rank])
    moving = [rank for rank in ranks if processes[rank].state in (State.PROGRESSING, State.SLOW)]
    if moving:
        case.saw("moves", "one of them moves", "samples", moving)
    first = processes[circle[0].rank]
    look_at_stillness(case, first, [main] if (main := main_at(first)) else [])
    return case


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _called_from(process: Process) -> str:
    main = main_position(process)
    return place(main) if main and main.own else ""


CAUSE = Cause(
    id="group-order",
    family="group-order",
    title="Ranks entered the collectives of process groups in different orders",
    examine=examine,
    not_to_be_confused_with=(
        "Different operations under one number of a group are `collective-mismatch`. A rank that is behind in all its "
        "groups is slow or stuck elsewhere."
    ),
    versions="torch.distributed with several groups, NCCL communicators, MPI",
    remedies=(
        Remedy(
            "same-order", "Let every rank enter the groups in one order: sort what is sent by group, not by arrival"
        ),
        Remedy(
            "one-thread", "Call collectives from one thread: two threads enter their groups in whatever order they run"
        ),
        Remedy("one-stream", "On GPUs, put collectives of several groups on one stream, or synchronise between them"),
    ),
    references=(
        "https://pytorch.org/docs/stable/distributed.html#groups",
        "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/usage/communicators.html",
    ),
    search_for=("Watchdog caught collective operation timeout: WorkNCCL(SeqNum=12, OpType=ALLREDUCE, ...)",),
)
