"""A rank never came up, and the others wait for it before the first step."""

from __future__ import annotations

import re

from diagnostics.analyze.facts import Facts, evidence, names
from diagnostics.causes import Case, Cause
from diagnostics.model import Process

# TensorFlow 1 says so every 10 s: "CreateSession still waiting for response from worker: /job:ps/replica:0/task:1".
_WAITING = re.compile(r"still waiting for response from worker: /job:(\w+)/replica:\d+/task:(\d+)")


def examine(facts: Facts) -> Case | None:
    waits = {f"{match[1]}:{match[2]}" for process in facts.processes for match in _said(process)}
    untrained = [process for process in facts.processes if _before_first_step(process)]
    if not facts.missing_ranks and not waits:
        return None
    if any(process.flight and process.flight.steps for process in facts.processes):
        return None
    case = Case(prior=-1.5)
    case.title = f"{', '.join(facts.missing_ranks or sorted(waits))} never came up, and the others wait for it"
    if facts.missing_ranks:
        case.supports(1.5, evidence("no process of it is known", "roll call", facts.missing_ranks))
    if waits:
        case.supports(2.0, evidence("the others say that they still wait for it to answer", "log", sorted(waits)))
    if untrained:
        case.supports(2.0, evidence("has not come to its first step", "recorder", names(untrained)))
    knocking = [
        process for process in facts.processes if any(link.state == "SYN_SENT" for link in process.connections)
    ]
    if knocking:
        case.supports(0.5, evidence("tries to connect, and nobody answers", "TCP_INFO", names(knocking)))
    if waits and facts.missing_ranks and not waits & set(facts.missing_ranks):
        case.speaks_against(1.0, evidence("they wait for another one than is missing", "log", sorted(waits)))
    if not facts.missing_ranks:
        case.lacks(f"whether {', '.join(sorted(waits))} runs at all: attach to it, or look at its log")
    return case


def _said(process: Process) -> list[re.Match[str]]:
    """Of the last lines only: who has come up since then is no longer waited for."""
    return [match for line in process.log_tail[-15:] if (match := _WAITING.search(line))]


def _before_first_step(process: Process) -> bool:
    flight = process.flight
    return flight is not None and not flight.steps and any(span.kind == "phase" for span in flight.open)


CAUSE = Cause(
    id="peer-startup",
    family="peer-startup",
    title="A rank never came up, and the others wait for it",
    examine=examine,
    not_to_be_taken_for=(
        "A rank that is missing from the roll call may run where nobody looked. Once a step has been done it is not "
        "the start that is stuck."
    ),
    versions="any; TensorFlow 1 names who it waits for in its log",
    remedy=(
        "Start the missing rank, or look at why it does not come up: its log, its image, the scheduler's queue",
        "Check that its address in the cluster's specification is the one it serves on",
        "Give workers device filters, so that they wait for the servers and not for one another",
    ),
    references=("https://github.com/tensorflow/tensorflow/issues/12745",),
)
