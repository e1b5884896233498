"""A rank has ended that the others need. How it ended says what to look at next."""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.analyze.family import signal_name
from diagnostics.analyze.progress import is_server
from diagnostics.causes.base import Case, Cause, Remedy
from diagnostics.causes.observe import may_be_stuck
from diagnostics.model import GONE, Process, Role, State
from diagnostics.stacks.position import threads_with

_LOST_A_PEER = ("UNAVAILABLE", "Unavailable", "heartbeat", "Socket closed", "Connection reset", "failed to connect")


def first_to_end(facts: Facts) -> Process | None:
    """Of the ranks that ended unfinished: those that follow only lost their peer."""
    last = len(facts.dead)
    return min(facts.dead, key=lambda process: process.exit_order if process.exit_order >= 0 else last, default=None)


def examine(facts: Facts) -> Case | None:
    first = first_to_end(facts)
    if first is None:
        return _known_from_others(facts)
    if first.exit_status is None and all(process.state in GONE for process in facts.processes):
        return None  # the job has ended while it was looked at: nobody needs it any more
    case = Case("peer-dead")
    case.title = f"{first.rank} is gone while the others still need it: {first.state_why}"
    status = first.exit_status
    if status is None:
        case.saw("gone", "its process is gone, and it had not finished", "processes", [first.rank])
        case.needs(f"the exit status of {first.rank}: ask whoever started it")
    elif status < 0:
        case.saw("ended-by-signal", f"ended by {signal_name(-status)}", "exit status", [first.rank])
    else:
        case.saw("ended-with-status", f"ended with status {status}", "exit status", [first.rank])
        _last_words(case, first)
    if first.out_of_memory:
        case.saw("out-of-memory", "the kernel ended it at its memory limit", "cgroup", [first.rank])
    later = [process.rank for process in facts.processes if process.exit_order > first.exit_order >= 0]
    if later:
        case.saw("others-followed", "ended after it", "exit order", later)
    waiting = [process.rank for process in facts.processes if process.state in (State.HUNG, State.IDLE, State.SLOW)]
    if waiting:
        case.saw("left-behind", "left behind", "processes", waiting)
    going_on = [process.rank for process in facts.processes if process.state is State.PROGRESSING]
    if going_on and not waiting and status is None:  # where it is told, the others may not have noticed yet
        case.saw("others-go-on", "the others go on without it", "processes", going_on)
    return case


def _known_from_others(facts: Facts) -> Case | None:
    """Of servers, and of workers whose part of a step, or key, is waited for: else who has left may have been done."""
    needed = any(threads_with(process, Role.STEP, Role.KEY) for process in facts.processes if may_be_stuck(process))
    lost = [one for one in facts.lost if is_server(one.rank) or needed]
    if not lost:
        return None
    case = Case("peer-dead")
    names = ", ".join(one.rank for one in lost[:4])
    case.title = (
        f"{names} {'is' if len(lost) == 1 else 'are'} gone while others still need {'it' if len(lost) == 1 else 'them'}"
    )
    for one in lost[:4]:
        case.saw("gone", one.fact, "memory of TensorFlow, connections", [one.rank])
    if not any(is_server(one.rank) for one in lost):
        case.saw("may-have-finished", "a worker, which may have finished its work", "cluster", [lost[0].rank])
    waiting = [process.rank for process in facts.processes if process.state in (State.HUNG, State.UNKNOWN)]
    if waiting:
        case.saw("left-behind", "left behind", "processes", waiting)
    case.needs(f"how {lost[0].rank} ended: ask whoever started it, or look at its log")
    return case


def _last_words(case: Case, process: Process) -> None:
    said = [line.strip() for line in process.log_tail if line.strip()][-1:]
    if said:
        case.saw("last-words", f"its last words: {said[0][:200]}", "log", [process.rank])
    if any(word in line for line in process.log_tail[-30:] for word in _LOST_A_PEER):
        case.saw("lost-a-peer", "it says that it had lost a peer before it ended", "log", [process.rank])


CAUSE = Cause(
    id="peer-dead",
    family="peer-dead",
    title="A rank has ended while the others still need it",
    examine=examine,
    not_to_be_confused_with=(
        "A rank that ends because its peer did is not the cause: the first to end is. One that the kernel ended at its "
        "memory limit is `out-of-memory`; one that has finished its work is not dead."
    ),
    versions="any",
    remedies=(
        Remedy(
            "who-ended-it",
            "See who ended it: SIGKILL comes from a scheduler, an administrator or the kernel where memory ran out, "
            "SIGSEGV and SIGABRT from a fault of its own",
            seen="ended-by-signal",
        ),
        Remedy(
            "its-last-words",
            "See the last that it wrote: a program that ends with a status has mostly said why, in an exception",
            seen="ended-with-status",
        ),
        Remedy("how-it-ended", "See how it ended: its exit status, its own log, and what its launcher says of it"),
        Remedy(
            "restart-rank",
            "Start the rank again; parameter servers lose their variables, so restore from a checkpoint",
        ),
    ),
    references=("https://www.tensorflow.org/guide/distributed_training",),
)
