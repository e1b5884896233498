"""A rank never came up, or cannot be reached, and the others wait for it before the first step.

What carries the cause: ranks wait where ranks find each other (a session's creation, a process group's init, a
store's key), and nobody who should come is on the way.
"""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.analyze.facts import Facts, names
from diagnostics.analyze.family import has_ended, is_before_serving
from diagnostics.causes.base import Case, Cause, Remedy
from diagnostics.causes.observe import main_at, may_be_stuck, peers
from diagnostics.discover.by_framework import first_group
from diagnostics.frameworks.tensorflow1.sessions import asked_for, trained_before
from diagnostics.model import Process, Role, State
from diagnostics.model.rank import parse
from diagnostics.stacks.position import threads_with


def examine(facts: Facts) -> Case | None:
    waits = {rank for process in facts.processes for rank in asked_for(process)}
    asking = [process for process in facts.processes if may_be_stuck(process) and _finds_others(process)]
    untrained = [process for process in facts.processes if _before_first_step(process)]
    lost = [one.rank for one in facts.lost]
    missing = [rank for rank in facts.missing_ranks if rank not in lost]
    if not missing and not asking:
        return None
    if any(process.flight and process.flight.steps for process in facts.processes):
        return None
    case = Case("peer-startup")
    who = ", ".join(missing or sorted(waits)) or "a rank"
    case.title = f"{who} never came up, and the others wait for it"
    before = [process for process in facts.processes if is_before_serving(process) and process not in asking]
    if before and asking and not missing:
        case.title = f"{', '.join(names(before[:4]))} runs and does not serve yet, and the others wait for it"
        main = main_at(before[0])
        said = f"listens at no address: it stands in {main.where if main else ''}"
        case.saw("not-serving", said, "TCP_INFO, stacks", names(before))
    if missing:
        case.saw("missing", _why_missing(facts, missing), "coverage", missing)
    if lost:
        case.saw("dead", "had come before, and is gone", "memory of TensorFlow, connections", lost)
    if waits:
        case.saw("log-names", "the others say that they still wait for it to answer", "log", sorted(waits))
    if asking:
        main = main_at(asking[0])
        said = f"waits for other ranks to join: {main.where if main else ''}"
        case.saw("asks", said, "stacks and log", names(asking))
        _look_at_past(case, asking)
        _look_at_rest(case, facts, asking)
        _look_at_movement(case, asking)
    if untrained:
        case.saw("no-step-yet", "has not come to its first step", "recorder", names(untrained))
    knocking = [process for process in facts.processes if any(one.state == "SYN_SENT" for one in process.connections)]
    if knocking:
        case.saw("connects-in-vain", "tries to connect, and nobody answers", "TCP_INFO", names(knocking))
    if waits and missing and not waits & set(missing):
        case.saw("another-missing", "they wait for another one than is missing", "log", sorted(waits))
    if not missing:
        case.needs(f"whether {who} runs at all: attach to it, or look at its log")
    return case


def _why_missing(facts: Facts, missing: Sequence[str]) -> str:
    return next((one.fact for one in facts.absent if one.rank in missing), "no process of it is known")


def _finds_others(process: Process) -> bool:
    """Whoever asks a store for a key of the program's own has found the store, and with it whoever serves it."""
    return bool(asked_for(process)) or any(not one.has(Role.KEY) for _, one in threads_with(process, Role.RENDEZVOUS))


def _look_at_past(case: Case, asking: Sequence[Process]) -> None:
    told = [(process, how) for process in asking if (how := trained_before(process))]
    for process, how in told[:1]:
        case.saw("trained-before", f"has trained before: {how}", "log", [process.rank])


def _look_at_rest(case: Case, facts: Facts, asking: Sequence[Process]) -> None:
    """All who are known wait for each other, so one is missing; or one that runs is not with them."""
    rest = [process for process in peers(facts) if process not in asking and process.pid > 0]
    dead = facts.dead
    if dead:
        case.saw("dead", "is gone: it may have been there before", "processes", names(dead))
    size = max((group.size for process in asking if (group := first_group(process))), default=0)
    elsewhere = [p for p in rest if p not in dead and (main := main_at(p)) and main.position.operation]
    if 0 < size <= len(asking):
        case.saw("all-there", f"all {size} ranks of the group are there, and wait so", "memory of torch", names(asking))
    elif not rest and not dead and "not-serving" not in case.observations:
        case.saw(
            "all-wait", "every rank that is known waits so: one that is not known is missing", "stacks", names(asking)
        )
    elif elsewhere:
        main = main_at(elsewhere[0])
        said = f"is there, and stands elsewhere: {main.where if main else ''}"
        case.saw("elsewhere", said, "stacks", names(elsewhere))
    linked = {connection.peer for process in asking for connection in process.connections} | set(names(asking))
    here = [p for p in facts.processes if p.pid > 0 and not has_ended(p) and not parse(p.rank).helps]
    apart = [process for process in here if process.rank not in linked]
    if apart and any(process.connections for process in asking):
        case.saw("unconnected", "runs, and has no connection to those that ask", "TCP_INFO", names(apart))


def _look_at_movement(case: Case, asking: Sequence[Process]) -> None:
    if hung := [process for process in asking if process.state is State.HUNG]:
        case.saw("hung", hung[0].state_why or "it hangs", "samples", names(hung))
    elif not any(process.samples for process in asking):
        case.saw("dumped", "somebody took a dump of it, as is done of what hangs", "dump", names(asking))


def _before_first_step(process: Process) -> bool:
    flight = process.flight
    return flight is not None and not flight.steps and any(span.kind == "phase" for span in flight.open)


CAUSE = Cause(
    id="peer-startup",
    family="peer-startup",
    title="A rank never came up, and the others wait for it",
    examine=examine,
    not_to_be_confused_with=(
        "A rank that was not seen may run where nobody looked. Once a step has been done it is not the start that is "
        "stuck."
    ),
    versions="any; TensorFlow 1 names who it waits for in its log",
    remedies=(
        Remedy(
            "start-rank",
            "Start the missing rank, or look at why it does not come up: its log, its image, the scheduler's queue",
        ),
        Remedy(
            "serve-first",
            "Look at the place that is named: what a server waits for before it serves, all wait for. Start the server "
            "first, or give that wait a limit",
            seen="not-serving",
        ),
        Remedy("check-address", "Check that its address in the cluster's specification is the one it serves on"),
        Remedy(
            "device-filters",
            "Give workers device filters, so that they wait for the servers and not for one another",
            only="tensorflow",
        ),
    ),
    references=("https://github.com/tensorflow/tensorflow/issues/12745",),
)
