"""Processes of a program wait for each other in a circle, for a reason that no other cause knows.

Both ends of a connection read, a child writes to the parent that waits for its end, a worker waits for a queue that
only who waits for it fills. What carries the cause: what the kernel tells of each wait names the next process, round to
the first, and all of them hang. Circles in collectives, of locks and of pipes alone have causes of their own.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts, names
from diagnostics.analyze.wait_graph import cycles, graph_of, rank_in
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import look_at_stillness, main_at
from diagnostics.model import Process, State, Wait, WaitKind

_OF_THE_KERNEL = (WaitKind.PIPE, WaitKind.SOCKET, WaitKind.CHILD, WaitKind.LOCK, WaitKind.INPUT, WaitKind.WORLD)
_SHOWN = 6


def examine(facts: Facts) -> Case | None:
    hung = {process.rank: process for process in facts.processes if process.state is State.HUNG}
    return likeliest(_examine_circle(set(group), facts.waits, hung) for group in cycles(graph_of(facts.waits)))


def _examine_circle(group: set[str], waits: tuple[Wait, ...], hung: dict[str, Process]) -> Case | None:
    inner = [wait for wait in waits if wait.rank in group and wait.on in group]
    ranks = list(dict.fromkeys(rank_in(wait.rank) for wait in inner))
    if len(ranks) < 2 or not all(wait.kind in _OF_THE_KERNEL for wait in inner) or not all(map(hung.get, ranks)):
        return None
    case = Case("process-circle")
    shown = ", ".join(ranks[:_SHOWN]) + (f" and {len(ranks) - _SHOWN} more" if len(ranks) > _SHOWN else "")
    case.title = f"{shown} wait for each other: each for what only the next one can do"
    for wait in inner[:_SHOWN]:
        case.saw("waits", f"waits for {rank_in(wait.on)}: {wait.why}", "kernel, stacks", [rank_in(wait.rank)])
    if any(sum(other.rank == wait.rank for other in inner) > 1 for wait in inner):
        said = "for one of these waits several are named, and which of them would end it is not known"
        case.saw("one-of-several", said, "kernel", names(map(hung.__getitem__, ranks)))
    first = hung[ranks[0]]
    look_at_stillness(case, first, [main] if (main := main_at(first)) else [])
    return case


CAUSE = Cause(
    id="process-circle",
    family="rank-elsewhere",
    title="Processes wait for each other in a circle",
    examine=examine,
    not_to_be_confused_with=(
        "Where both ends of a connection read, one of the two has not sent its message whole, and the other one is "
        "right to wait. A full pipe, or locks taken in different orders, are causes of their own."
    ),
    versions="any",
    remedies=(
        Remedy(
            "end-one-wait",
            "Take one wait out of the circle: the evidence names each, with its place; a limit of time shows it early",
        ),
        Remedy(
            "send-whole",
            "Where both sides read: see which message was not sent whole (its length, a flush, an end of line)",
        ),
    ),
    references=("https://docs.python.org/3/library/multiprocessing.html#programming-guidelines",),
    search_for=("    recv (socket)", "    _recv_bytes (multiprocessing/connection.py:430)"),
)
