"""A rank is busy without getting on: a loop that never ends, or that polls for what never comes.

What carries the cause: it burns CPU, or sleeps and wakes again and again, in the same place of the user's code at
every sample.
"""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.analyze.facts import Facts
from diagnostics.analyze.family import TOGETHER
from diagnostics.analyze.loops import standing_loop
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import main_at, named_for_a_lock
from diagnostics.model import Process, Role, Wait, WaitKind

_OTHER = (
    *TOGETHER, Role.DEVICE, Role.DEVICE_LAUNCH, Role.COMPILE, Role.GARBAGE, Role.SAVE, Role.EVALUATE, Role.SERVE,
    Role.FILE_LOCK, Role.INPUT_NEXT,
)  # fmt: skip
_LOOPS = (WaitKind.NOTHING, WaitKind.TIME, WaitKind.UNKNOWN, WaitKind.FILE)


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process, facts.waits) for process in facts.hung)


def _examine_process(process: Process, waits: Sequence[Wait]) -> Case | None:
    main = main_at(process)
    if main is None or main.position.has(*_OTHER) or main.position.waits not in _LOOPS:
        return None
    standing = standing_loop(process)
    if not main.position.busy and (standing is None or standing.loop.makes or named_for_a_lock(main.position)):
        return None
    case = Case("livelock")
    where = [process.rank]
    case.title = f"{process.rank} is busy without getting on: {main.where}"
    if main.position.busy:
        case.saw("busy", f"burns CPU at one place: {main.where}", "samples, stacks", where)
    else:
        case.saw("polls", f"sleeps and looks again, at one place: {main.where}", "samples, stacks", where)
    if standing and standing.proven:
        case.saw(
            "repeats", "its variables have values that they had before, so it goes on for ever", "variables", where
        )
    elif standing:
        case.saw("only-asks", "by its source the loop only asks, and does nothing else", "source", where)
    others = [wait.rank for wait in waits if wait.on == process.rank and wait.rank.partition(" ")[0] != process.rank]
    if others and not (standing and standing.proven):
        case.saw("awaited", f"{others[0]} waits for it, which asks again and again", "stacks", others[:4])
    case.saw("hung", process.state_why or "it hangs", "samples", where)
    if main.position.own:
        case.saw("own-code", "that is the program's own code", "stacks", where)
    return case


CAUSE = Cause(
    id="livelock",
    family="livelock",
    title="A rank is busy without getting on",
    examine=examine,
    not_to_be_confused_with=(
        "A long computation stands at one place of Python's code, too: its own history, its log, or what it has done "
        "before tell. A spinning wait for a device or for other ranks is a wait, not a loop."
    ),
    versions="any",
    remedies=(
        Remedy("bound-the-loop", "Bound the loop: a greatest number of rounds, and an error that says so"),
        Remedy(
            "look-at-condition",
            "Look at what the loop waits for: the condition may never become true (NaN, a rounded value)",
        ),
        Remedy("poll-timeout", "Give polling a limit of time, and say in the log what is polled for"),
    ),
    references=("https://docs.python.org/3/library/faulthandler.html#faulthandler.dump_traceback_later",),
    search_for=('Thread 4711 (active): "MainThread"', "    relax (solver.py:21)"),
)
