"""Ranks that belong to two process groups entered the groups' collectives in different orders.

Each waits in one group for the other, which waits for it in the other group. What carries the cause: the framework's
own records (PyTorch's Flight Recorder, NCCL's RAS) show two ranks of both groups, each with an open collective in a
group in which the other has not come so far.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations

from diagnostics.analyze.facts import Facts
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import look_at_stillness, main_at
from diagnostics.model import Collective, Process

_MOST_RANKS = 64
Newest = dict[str, Collective]  # group -> the newest collective of a rank in it


def examine(facts: Facts) -> Case | None:
    newest = [(process, found) for process in facts.processes if (found := _newest(process))]
    cases = [_case(*pair) for pair in combinations(newest[:_MOST_RANKS], 2) for _ in _crossed(*pair)]
    return likeliest(cases)


def _newest(process: Process) -> Newest:
    found: Newest = {}
    for one in process.collectives:
        if one.group not in found or one.seq > found[one.group].seq:
            found[one.group] = one
    return found


def _crossed(one: tuple[Process, Newest], other: tuple[Process, Newest]) -> Iterator[tuple[str, str]]:
    """Groups of both, in the first of which only one has come so far, and in the second only the other."""
    both = sorted(one[1].keys() & other[1].keys())
    for first, second in permutations(both, 2):
        ahead = one[1][first].seq > other[1][first].seq and one[1][first].state != "completed"
        behind = other[1][second].seq > one[1][second].seq and other[1][second].state != "completed"
        if ahead and behind:
            yield first, second
            return


def _case(one: tuple[Process, Newest], other: tuple[Process, Newest]) -> Case:
    case = Case("group-order")
    first, second = next(_crossed(one, other))
    for (process, newest), group, rest in ((one, first, other), (other, second, one)):
        said = (
            f"waits in {newest[group].op} {newest[group].seq} of group {group}, "
            f"in which {rest[0].rank} has come to {rest[1][group].seq}"
        )
        case.saw("crossed", said, "flight recorder", [process.rank])
        main = main_at(process)
        if main and main.position.own:
            case.saw("at", f"called from {main.where}", "stacks", [process.rank])
    look_at_stillness(case, one[0], [main] if (main := main_at(one[0])) else [])
    return case


CAUSE = Cause(
    id="group-order",
    family="group-order",
    title="Ranks entered the collectives of two process groups in different orders",
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
