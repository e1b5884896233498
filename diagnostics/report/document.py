"""The JSON document of `attach` and `diagnose`."""

from __future__ import annotations

from typing import Any

import msgspec

from diagnostics.analyze.devices import place_of
from diagnostics.model import (
    BlockingCall,
    Collection,
    Culprit,
    Diagnosis,
    Evidence,
    Finding,
    LogFact,
    Position,
    Process,
)
from diagnostics.report.positions import position_document, position_of_rank, positions_shown, seconds_known
from diagnostics.report.text import sanitize
from diagnostics.report.threads import threads_of
from diagnostics.report.verdict import is_hung
from diagnostics.report.view import RankRow, rank_rows
from diagnostics.stacks.blocked import Names, names_of, significant, what_of
from diagnostics.stacks.position import blocked_words


def as_json(collection: Collection, diagnosis: Diagnosis, bundle: str | None) -> dict[str, Any]:
    """The document that `attach --json` and `diagnose --json` print."""
    collection, diagnosis = sanitize(collection), sanitize(diagnosis)
    names = names_of(collection)
    seen = {(process.rank, process.pid): process for process in collection.processes}
    shown = positions_shown(collection, diagnosis)
    return {
        "verdict": diagnosis.verdict,
        "hung": is_hung(collection, diagnosis),
        "summary": diagnosis.summary,
        "culprits": [_culprit(culprit) for culprit in diagnosis.culprits],
        "ranks": [
            _rank(row, seen.get((row.rank, row.pid or 0)), names, collection, shown.get((row.rank, row.pid or 0)))
            for row in rank_rows(collection)
        ],
        "devices": [msgspec.to_builtins(device) for device in collection.devices],
        "waits": [
            {"rank": wait.rank, "on": wait.on, "why": wait.why, "seconds": wait.seconds} for wait in diagnosis.waits
        ],
        "facts": [_said(process.rank, fact) for process in collection.processes for fact in process.facts],
        "findings": [_finding(finding) for finding in diagnosis.findings],
        "next_evidence": list(diagnosis.next_evidence),
        "errors": [{"stage": error.stage, "error": error.error} for error in diagnosis.errors],
        "bundle": sanitize(bundle) if bundle is not None else None,
    }


def _culprit(culprit: Culprit) -> dict[str, Any]:
    return {
        "rank": culprit.rank, "pid": culprit.pid if culprit.pid > 0 else None, "host": culprit.host,
        "confidence": culprit.confidence, "why": culprit.why, "position": position_document(culprit.position),
    }  # fmt: skip


def _device(process: Process, collection: Collection) -> dict[str, Any] | None:
    place = place_of(process, position_of_rank(process), collection)
    look = msgspec.to_builtins(process.device_look)
    return {"place": place.place.name.lower(), "words": place.words, "debugger": look} if place else None


def _rank(
    row: RankRow, process: Process | None, names: Names, collection: Collection, shown: Position | None
) -> dict[str, Any]:
    return {
        "rank": row.rank,
        "pid": row.pid,
        "host": row.host,
        "state": row.state.value,
        "state_why": row.why,
        "since_s": seconds_known(process.since) if process else None,
        "stacks_from": row.stacks_from,
        "pause_ms": round(row.pause * 1000, 3),
        "why_not": row.why_not,
        "position": position_document(shown or position_of_rank(process)) if process else None,
        "waits_for": [_blocked(call, process, names) for call in significant(process)] if process else [],
        "threads": threads_of(process) if process else [],
        "device": _device(process, collection) if process else None,
    }


def _blocked(call: BlockingCall, process: Process, names: Names) -> dict[str, Any]:
    return {
        "tid": call.tid, "kind": call.kind, "call": call.call, "what": what_of(call), "holder": call.holder,
        "others": list(call.others), "peer": call.peer, "words": blocked_words(call, process, names),
    }  # fmt: skip


def _said(rank: str, fact: LogFact) -> dict[str, Any]:
    return {
        "rank": rank, "kind": fact.kind.name.lower().replace("_", "-"), "words": fact.words, "about": list(fact.about),
        "values": fact.values, "line": fact.line, "times": fact.times,
    }  # fmt: skip


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "cause": finding.cause,
        "family": finding.family,
        "confidence": finding.confidence,
        "title": finding.title,
        "evidence": [_fact(evidence) for evidence in finding.evidence],
        "against": [_fact(evidence) for evidence in finding.against],
        "missing": list(finding.missing),
        "remedy": list(finding.remedy),
        "references": list(finding.references),
    }


def _fact(evidence: Evidence) -> dict[str, Any]:
    return {"fact": evidence.fact, "source": evidence.source, "ranks": list(evidence.ranks)}
