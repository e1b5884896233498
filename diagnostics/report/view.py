"""The facts that all reports tell, worked out once: a row a rank, the verdict, the JSON document."""

from __future__ import annotations

from typing import Any, NamedTuple

from diagnostics.analyze.blocking_calls import Names, names_of, telling, what_of, words
from diagnostics.model import (
    BlockingCall,
    Collection,
    Diagnosis,
    Evidence,
    Finding,
    Flight,
    LogFact,
    OpenSpan,
    Process,
    State,
)
from diagnostics.report.text import (
    compact_ranks,
    confidence_words,
    duration,
    exit_words,
    inert,
    percent,
    plural,
    rank_order,
)
from diagnostics.report.threads import threads_of

NOT_FOUND = "no process was found for it"

WORST_FIRST = (
    State.HUNG,
    State.DEAD,
    State.UNREACHABLE,
    State.SLOW,
    State.UNKNOWN,
    State.IDLE,
    State.PROGRESSING,
    State.FINISHED,
)


class RankRow(NamedTuple):
    """One rank in the roll call and last-batch table. Text is ready to show, "" where nothing is known."""

    rank: str
    pid: int | None
    host: str
    state: State
    why: str
    epoch: str
    last_batch: str
    rows: str
    end_of_sequence: bool | None
    open: tuple[str, ...]  # what began and has not ended, and for how long
    stacks_from: str
    pause: float  # seconds
    why_not: str
    warnings: tuple[str, ...]

    @property
    def dumped(self) -> bool:
        return bool(self.stacks_from)

    @property
    def end_seen(self) -> str:
        return {True: "yes", False: "no", None: ""}[self.end_of_sequence]


HEADLINES = {
    "bad": "The job does not go on.",
    "unknown": "What holds the job is not known.",
    "healthy": "No hang was found.",
}
"""Where the diagnosis has no sentence of its own."""


class Verdict(NamedTuple):
    """The top of every report. `finding` is the cause that carries the verdict, None where none does."""

    kind: str  # "bad", "unknown" or "healthy"
    family: str
    headline: str
    finding: Finding | None
    confidence: float
    percent: str
    words: str
    candidates: tuple[Finding, ...]  # the other findings, best first


def verdict_of(diagnosis: Diagnosis) -> Verdict:
    best = diagnosis.findings[0] if diagnosis.findings else None
    if best is not None and (best.confidence <= 0.5 or diagnosis.verdict == "unknown"):
        best = None
    kind = {"none": "healthy", "unknown": "unknown"}.get(diagnosis.verdict, "bad")
    confidence = best.confidence if best else 0.0
    headline = diagnosis.summary or (best.title if best else HEADLINES[kind])
    return Verdict(
        kind=kind,
        family=diagnosis.verdict,
        headline=headline,
        finding=best,
        confidence=confidence,
        percent=percent(confidence) if best else "",
        words=confidence_words(confidence) if best else "",
        candidates=tuple(finding for finding in diagnosis.findings if finding is not best),
    )


def rank_rows(collection: Collection) -> tuple[RankRow, ...]:
    """A row for every process seen and every rank expected; those in trouble first, then by role."""
    rows = [_row(process) for process in collection.processes]
    seen = {process.rank for process in collection.processes}
    rows += [_absent(rank) for rank in dict.fromkeys(collection.expected) if rank not in seen]
    return tuple(sorted(rows, key=lambda row: (WORST_FIRST.index(row.state), rank_order(row.rank))))


def _absent(rank: str) -> RankRow:
    return RankRow(
        rank=rank, pid=None, host="", state=State.UNREACHABLE, why="", epoch="", last_batch="", rows="",
        end_of_sequence=None, open=(), stacks_from="", pause=0.0, why_not=NOT_FOUND, warnings=(),
    )  # fmt: skip


def _row(process: Process) -> RankRow:
    flight = process.flight
    stepped = flight is not None and (flight.steps > 0 or flight.last_epoch >= 0)
    return RankRow(
        rank=process.rank,
        pid=process.pid if process.pid > 0 else None,
        host=process.host,
        state=process.state,
        why=process.state_why,
        epoch=_known(flight.last_epoch) if flight else "",
        last_batch=_known(flight.last_batch) if flight else "",
        rows=_known(flight.last_rows) if flight else "",
        end_of_sequence=flight.end_of_sequence if flight and stepped else None,
        open=tuple(open_words(span) for span in flight.open) if flight else (),
        stacks_from=process.stacks_from,
        pause=process.pause,
        why_not=process.why_not,
        warnings=tuple(_warnings(process, flight)),
    )


def _warnings(process: Process, flight: Flight | None) -> list[str]:
    warnings = []
    if process.running_after is False:
        warnings.append("not running after the collection")
    if process.exit_status is not None:
        warnings.append(exit_words(process.exit_status))
    if flight and flight.error:
        warnings.append(f"last error recorded: {flight.error}")
    if flight and flight.torn:
        warnings.append(f"{plural(flight.torn, 'record')} of the flight recorder torn")
    return warnings


def _known(number: int) -> str:
    return f"{number:,}" if number >= 0 else ""


def open_words(span: OpenSpan) -> str:
    """`step 4,412 for 31.2 s`."""
    number = {"step": span.step, "epoch": span.epoch}.get(span.kind, -1)
    name = f"{span.kind} {number:,}" if number >= 0 else span.kind
    label = f" ({span.label})" if span.label else ""
    return f"{name}{label} for {duration(span.seconds)}"


def roll_call(rows: tuple[RankRow, ...]) -> str:
    """`4 of 5 ranks gave a stack; none from ps:2 (process in state D)`."""
    if not rows:
        return "no rank was expected and no process was found"
    missing: dict[str, list[str]] = {}
    for row in rows:
        if not row.dumped:
            missing.setdefault(row.why_not or "no reason recorded", []).append(row.rank)
    text = f"{len(rows) - sum(map(len, missing.values()))} of {plural(len(rows), 'rank')} gave evidence"
    if missing:
        text += "; none from " + "; ".join(f"{compact_ranks(who)} ({why})" for why, who in missing.items())
    return text


def states(rows: tuple[RankRow, ...]) -> tuple[tuple[State, int], ...]:
    """How many ranks are in each state, worst first."""
    return tuple(
        (state, count) for state in WORST_FIRST if (count := sum(row.state is state for row in rows))
    )


def repeat_command(scenario: dict[str, str]) -> tuple[str, ...]:
    """The words of the command that runs `scenario` again; empty where no trial made the collection."""
    rest = dict(scenario)
    name = rest.pop("scenario", "")
    if not name:
        return ()
    words = ["lastbatch", "run", name]
    flags = ("arm", "runtime", "backend", "fault", "epoch_ends", "epoch-ends", "time_limit", "time-limit")
    for key in flags:
        if value := rest.pop(key, ""):
            words += ["--" + key.replace("_", "-"), value]
    for key, value in sorted(rest.items()):
        words += ["--set", f"{key}={value}"]
    return tuple(words)


def as_json(collection: Collection, diagnosis: Diagnosis, bundle: str | None) -> dict[str, Any]:
    """The document that `attach --json` and `diagnose --json` print."""
    collection, diagnosis = inert(collection), inert(diagnosis)
    names = names_of(collection)
    seen = {process.rank: process for process in collection.processes}
    return {
        "verdict": diagnosis.verdict,
        "ranks": [
            {
                "rank": row.rank,
                "pid": row.pid,
                "host": row.host,
                "state": row.state.value,
                "stacks_from": row.stacks_from,
                "pause_ms": round(row.pause * 1000, 3),
                "why_not": row.why_not,
                "threads": threads_of(seen[row.rank]) if row.rank in seen else [],
                "waits_for": [_slept(sleep, seen[row.rank], names) for sleep in telling(seen[row.rank])]
                if row.rank in seen
                else [],
            }
            for row in rank_rows(collection)
        ],
        "waits": [
            {"rank": wait.rank, "on": wait.on, "why": wait.why, "seconds": wait.seconds} for wait in diagnosis.waits
        ],
        "facts": [_said(process.rank, fact) for process in collection.processes for fact in process.facts],
        "findings": [
            {
                "cause": finding.cause,
                "family": finding.family,
                "confidence": finding.confidence,
                "evidence": [_fact(evidence) for evidence in finding.evidence],
                "against": [_fact(evidence) for evidence in finding.against],
                "missing": list(finding.missing),
                "remedy": list(finding.remedy),
                "references": list(finding.references),
            }
            for finding in diagnosis.findings
        ],
        "next_evidence": list(diagnosis.next_evidence),
        "errors": [{"stage": error.stage, "error": error.error} for error in diagnosis.errors],
        "bundle": inert(bundle) if bundle is not None else None,
    }


def _slept(sleep: BlockingCall, process: Process, names: Names) -> dict[str, Any]:
    return {
        "tid": sleep.tid, "kind": sleep.kind, "call": sleep.call, "what": what_of(sleep), "holder": sleep.holder,
        "others": list(sleep.others), "peer": sleep.peer, "words": words(sleep, process, names),
    }  # fmt: skip


def _said(rank: str, fact: LogFact) -> dict[str, Any]:
    return {
        "rank": rank, "kind": fact.kind.name.lower().replace("_", "-"), "words": fact.words, "about": list(fact.about),
        "values": fact.values, "line": fact.line, "times": fact.times,
    }  # fmt: skip


def _fact(evidence: Evidence) -> dict[str, Any]:
    return {"fact": evidence.fact, "source": evidence.source, "ranks": list(evidence.ranks)}
