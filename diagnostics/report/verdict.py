"""Whether the job hangs, since when, who holds it up, and what to run next: the words on top of every report."""

from __future__ import annotations

from typing import NamedTuple

from diagnostics.model import Collection, Culprit, Diagnosis, Finding, State
from diagnostics.model.rank import RankKind, parse
from diagnostics.model.trace import TraceResult, TraceVerdict
from diagnostics.report.positions import operation_of, waits_for
from diagnostics.report.text import confidence_words, duration, percent, wall_time

WELL = frozenset({"none", "slow", "throttled"})
"""Verdicts of jobs that go on."""

ENOUGH = 0.5
"""A cause is named only above this confidence."""

LONG = 120.0
"""Seconds from which on the clock tells more than a duration."""

MOST_PIDS = 16
"""A command with more than these nobody types."""


class Verdict(NamedTuple):
    """The top of every report. `finding` is the cause that carries the verdict, None where none does."""

    kind: str  # "hung", "unknown" or "healthy"
    family: str
    headline: str  # `HUNG for 31.2 s`
    summary: str
    finding: Finding | None
    confidence: float
    percent: str
    words: str
    candidates: tuple[Finding, ...]  # the other findings, best first


def is_hung(collection: Collection, diagnosis: Diagnosis) -> bool | None:
    """Whether the job hangs; None where it cannot be told. Exit codes and all reports follow it."""
    if diagnosis.hung is not None:
        return diagnosis.hung
    if any(process.state in (State.HUNG, State.DEAD) for process in collection.processes):
        return True
    if diagnosis.verdict in WELL:
        return False
    return True if named(diagnosis) else None


def named(diagnosis: Diagnosis) -> Finding | None:
    """The cause that is more likely than not."""
    best = diagnosis.findings[0] if diagnosis.findings else None
    return best if best and best.confidence > ENOUGH and diagnosis.verdict != "unknown" else None


def verdict_of(collection: Collection, diagnosis: Diagnosis) -> Verdict:
    best = named(diagnosis)
    hung = is_hung(collection, diagnosis)
    confidence = best.confidence if best else 0.0
    return Verdict(
        kind={True: "hung", False: "healthy", None: "unknown"}[hung],
        family=diagnosis.verdict,
        headline=_headline(collection, diagnosis, hung),
        summary=diagnosis.summary or (best.title if best else ""),
        finding=best,
        confidence=confidence,
        percent=percent(confidence) if best else "",
        words=confidence_words(confidence) if best else "",
        candidates=tuple(finding for finding in diagnosis.findings if finding is not best),
    )


def _headline(collection: Collection, diagnosis: Diagnosis, hung: bool | None) -> str:
    if hung:
        return f"HUNG {_since(collection)}"
    if hung is None:
        return "It cannot be told whether it hangs"
    if diagnosis.verdict in ("slow", "throttled"):
        return f"Not hung, but {diagnosis.verdict}"
    return "Healthy" if diagnosis.verdict == "none" else "Not hung, as far as it was seen"


def _since(collection: Collection) -> str:
    """`for 31.2 s`, `for 12 min 3 s, since about 10:02 UTC`: of the rank that has been hung longest."""
    stuck = [process for process in collection.processes if process.state is State.HUNG and process.since >= 0]
    ranks = [process for process in stuck if not parse(process.rank).helps] or stuck
    if not ranks:
        return "(since when is not known)"
    longest = max(process.since for process in ranks)
    clock = wall_time(collection.collected_at - longest)[11:16] if collection.collected_at > longest > LONG else ""
    return f"for {duration(longest)}" + (f", since about {clock} UTC" if clock else "")


def culprit_words(culprit: Culprit) -> str:
    """`in all_reduce, step (train.py:31); waits for ...; why it is named`, after the rank's name."""
    where = culprit.position
    parts = []
    if where:
        place = ", ".join(filter(None, (operation_of(where), where.place)))
        parts += [f"in {place}"] if place else []
        parts += [f"waits for {waits_for(where)}"] if waits_for(where) else []
    return "; ".join((*parts, *([culprit.why] if culprit.why else [])))


def culprit_name(culprit: Culprit) -> str:
    """`worker:0 (pid 4711 on node-a)`."""
    named_by_pid = parse(culprit.rank).kind is RankKind.PROCESS
    pid = f"pid {culprit.pid}" if culprit.pid > 0 and not named_by_pid else ""
    parts = [pid, f"on {culprit.host}" if culprit.host else ""]
    where = " ".join(filter(None, parts))
    return f"{culprit.rank} ({where})" if where else culprit.rank


def proof_words(trace: TraceResult | None) -> str:
    """What a trace, or the memory of the job, proved; "" where nothing was."""
    if trace is None or trace.verdict is not TraceVerdict.PROVEN:
        return ""
    return f"Proven by {'memory' if trace.method == 'memory' else 'trace'}: {trace.why}"


def next_command(collection: Collection, diagnosis: Diagnosis, source: str) -> str:
    """The one command to run next. `source`: what `diagnose` is to read, quoted for a shell, "" where nothing is."""
    hung = is_hung(collection, diagnosis)
    alive = [
        str(process.pid)
        for process in collection.processes
        if process.pid > 0 and not process.dump and process.state not in (State.DEAD, State.FINISHED)
        and not parse(process.rank).helps
    ]  # fmt: skip
    if hung is None and alive and len(alive) <= MOST_PIDS:
        return f"lastbatch attach {' '.join(alive)}"
    return f"lastbatch diagnose --verbose {source}" if source and hung is not False else ""
