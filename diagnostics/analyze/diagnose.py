"""From a collection to a verdict: judged ranks, merged stacks, waits, causes."""

from __future__ import annotations

from collections.abc import Callable

from diagnostics.analyze.facts import Facts
from diagnostics.analyze.job import judge_all
from diagnostics.analyze.progress import Limits
from diagnostics.analyze.standing import standing_words
from diagnostics.analyze.wait_graph import where_to_look
from diagnostics.analyze.waits import find_waits
from diagnostics.model import Collection, Diagnosis, Finding, Process, StageError, State, Wait
from diagnostics.stacks.prefix_tree import classes_of, merge_processes

ENOUGH = 0.5
"""A finding must be more likely than not, or the verdict is `unknown`."""

_WELL = (State.PROGRESSING, State.FINISHED, State.IDLE)


Find = Callable[[Facts], tuple[tuple[Finding, ...], tuple[StageError, ...]]]
"""Looks for causes: findings, best first, and what failed. `causes.find_all` is it."""


def diagnose(collection: Collection, find: Find, limits: Limits = Limits()) -> tuple[Collection, Diagnosis]:
    """The collection with the state of every rank, and what it means."""
    collection = judge_all(collection, limits)
    facts = Facts(collection)
    well = bool(facts.processes) and all(process.state in _WELL for process in facts.processes)
    findings, errors = ((), ()) if well and not facts.missing_ranks else find(facts)
    verdict, summary = _verdict(facts, findings, well)
    waits = find_waits(collection)
    return collection, Diagnosis(
        verdict=verdict,
        summary=summary,
        findings=findings,
        next_evidence=_next_evidence(facts, findings, waits) if verdict == "unknown" else (),
        errors=errors,
        waits=waits,
        classes=classes_of(collection.processes),
        tree=merge_processes(collection.processes),
    )


def _verdict(facts: Facts, findings: tuple[Finding, ...], well: bool) -> tuple[str, str]:
    if findings and findings[0].confidence > ENOUGH:
        return findings[0].family, findings[0].title
    if not facts.processes:
        return "unknown", "there is no evidence of any process"
    if facts.missing_ranks:
        return "unknown", f"{len(facts.missing_ranks)} of {len(facts.collection.expected)} ranks could not be looked at"
    if well:
        return "none", "every rank progresses, serves or has finished"
    slow = [process for process in facts.processes if process.state is State.SLOW]
    if slow and not facts.hung:
        return "slow", f"{_listed(slow)} is slower than its own history, but it moves"
    if facts.hung:
        return "unknown", f"{_listed(list(facts.hung))} hangs, and the evidence does not carry a cause"
    dead = [process for process in facts.processes if process.state is State.DEAD]
    if dead:
        return "unknown", f"{_listed(dead)} is gone, and the evidence does not carry why"
    known = standing_words(facts.collection)
    if told := [*known] or [f"{process.rank}: {fact.words}" for process in facts.processes for fact in process.facts]:
        return "unknown", "; ".join(told[:3])
    return "unknown", "nothing can be said of " + _listed([p for p in facts.processes if p.state not in _WELL])


def _listed(processes: list[Process]) -> str:
    shown = ", ".join(process.rank for process in processes[:4])
    return shown + (f" and {len(processes) - 4} more" if len(processes) > 4 else "")


def _next_evidence(facts: Facts, findings: tuple[Finding, ...], waits: tuple[Wait, ...]) -> tuple[str, ...]:
    """What would decide: first what the likeliest causes lack, then what any diagnosis needs."""
    wanted = list(standing_words(facts.collection))
    wanted += [missing for finding in findings[:2] for missing in finding.missing]
    wanted += where_to_look(waits)
    if len(facts.processes) > 1 and len(classes_of(facts.processes)) == 1 and any(p.threads for p in facts.processes):
        wanted.append("all ranks look the same, so stacks blame none: compare their last collective, step and batch")
    unread = [process.rank for process in facts.processes if not process.threads]
    if unread:
        wanted.append(f"stacks of {', '.join(unread[:6])}: see why there are none in the roll call")
    if facts.missing_ranks:
        wanted.append(f"attach to {', '.join(facts.missing_ranks[:6])} as well")
    if not any(process.flight for process in facts.processes):
        wanted.append("the flight recorder in the job, so that a rank's own pace is known (docs/recorder.md)")
    if any(process.state is State.UNKNOWN for process in facts.processes):
        wanted.append("attach once more in a minute: what still stands in the same place then is stuck")
    return tuple(dict.fromkeys(wanted))
