"""Whether the job hangs, since when, who holds it up, and what to run next: the words on top of every report."""

from __future__ import annotations

from typing import NamedTuple

from diagnostics.analyze.devices import Place, place_of
from diagnostics.analyze.progress import MAY_BE_STUCK
from diagnostics.model import Collection, Culprit, DeviceLook, Diagnosis, Finding, ResidentKernel, State
from diagnostics.model.rank import parse
from diagnostics.model.trace import TraceResult, TraceVerdict
from diagnostics.report.positions import SPINNING, operation_of, waits_for
from diagnostics.report.text import confidence_words, duration, percent, wall_time
from diagnostics.report.text import named_plainly as plain
from diagnostics.stacks.position import main_position

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
        summary=_opening(diagnosis, best),
        finding=best,
        confidence=confidence,
        percent=percent(confidence) if best else "",
        words=confidence_words(confidence) if best else "",
        candidates=tuple(finding for finding in diagnosis.findings if finding is not best),
    )


def _opening(diagnosis: Diagnosis, best: Finding | None) -> str:
    """What stands above culprit and cause, without what these say themselves."""
    if diagnosis.standing or (diagnosis.culprits and diagnosis.summary.startswith(diagnosis.culprits[0].rank)):
        return diagnosis.standing
    return diagnosis.summary or (best.title if best else "")


def _headline(collection: Collection, diagnosis: Diagnosis, hung: bool | None) -> str:
    if hung:
        return f"HUNG {_since(collection, diagnosis)}"
    if hung is None:
        return "It cannot be told whether it hangs"
    if diagnosis.verdict in ("slow", "throttled"):
        return f"Not hung, but {diagnosis.verdict}"
    return "Healthy" if diagnosis.verdict == "none" else "Not hung, as far as it was seen"


def _since(collection: Collection, diagnosis: Diagnosis) -> str:
    """`for 31.2 s`, `for at least 12 min 3 s, since about 10:02 UTC`: of who has been hung longest."""
    blamed = {(one.rank, one.pid) for one in diagnosis.culprits}
    stuck = [process for process in collection.processes if process.state is State.HUNG and process.since >= 0]
    stuck = stuck or [p for p in collection.processes if (p.rank, p.pid) in blamed and p.since >= 0]
    ranks = [p for p in stuck if not parse(p.rank).helps or (p.rank, p.pid) in blamed] or stuck
    if not ranks:
        return "(since when is not known)"
    longest = max(ranks, key=lambda process: process.since)
    position = main_position(longest)
    least = "at least " if position and position.at_least else ""
    began = collection.collected_at - longest.since
    clock = wall_time(began)[11:16] if began > 0 and longest.since > LONG else ""
    return f"for {least}{duration(longest.since)}" + (f", since about {clock} UTC" if clock else "")


def culprit_words(culprit: Culprit) -> str:
    """`in all_reduce, step (train.py:31); waits for ...; why it is named`, after the rank's name."""
    where = culprit.position
    parts = []
    if where:
        thread = f"thread {where.tid}" if where.tid and culprit.pid > 0 and where.tid != culprit.pid else ""
        place = ", ".join(filter(None, (operation_of(where), where.place, thread)))
        parts += [place if place.startswith(SPINNING) else f"in {place}"] if place else []
        parts += [f"waits for {waits_for(where)}"] if waits_for(where) else []
    return plain("; ".join((*parts, *([culprit.why] if culprit.why else []))))


def culprit_name(culprit: Culprit) -> str:
    """`worker:0 (pid 4711 on node-a)`, `child 4712 of worker:0 (on node-a)`."""
    pid = f"pid {culprit.pid}" if culprit.pid > 0 and str(culprit.pid) not in culprit.rank else ""
    parts = [pid, f"on {culprit.host}" if culprit.host else ""]
    where = " ".join(filter(None, parts))
    return plain(f"{culprit.rank} ({where})" if where else culprit.rank)


def cause_name(finding: Finding) -> str:
    """The family, and the cause where that is another word: `lost-wakeup, event-loop-asleep`."""
    return finding.family if finding.family == finding.cause else f"{finding.family}, {finding.cause}"


def device_words(collection: Collection, diagnosis: Diagnosis) -> str:
    """What the cards tell of the culprits, or else of a rank that hangs; "" where none is known to use one."""
    blamed = {(one.rank, one.pid) for one in diagnosis.culprits}
    processes = sorted(collection.processes, key=lambda p: ((p.rank, p.pid) not in blamed, p.state is not State.HUNG))
    places = ((process, place_of(process, main_position(process), collection)) for process in processes)
    process, place = next(((process, place) for process, place in places if place), (None, None))
    if not process or not place or not (collection.devices or process.state in MAY_BE_STUCK):
        return ""
    peers = [wait.on for wait in diagnosis.waits if wait.rank == process.rank] if place.place is Place.PEER else []
    named = f", of which {peers[0]} has not come" if len(set(peers)) == 1 else ""
    return plain(f"{process.rank}: {place.words}{named}{_resident(process.device_look)}")


def _resident(look: DeviceLook | None) -> str:
    """Which kernels a debugger saw, or why it saw none; "" where it was not asked."""
    if look is None:
        return ""
    if not look.kernels:
        return f"; cuda-gdb: {look.why_not}"
    shown = [f"{one.name} (grid {one.grid}, on {one.sms} SMs{_stands(one)})" for one in look.kernels[:2]]
    more = f" and {len(look.kernels) - 2} more" if len(look.kernels) > 2 else ""
    return f"; on the card: {', '.join(shown)}{more}"


def _stands(kernel: ResidentKernel) -> str:
    most = kernel.places[0] if kernel.places else None
    return f", {most.lanes} lanes at {f'{most.file}:{most.line}' if most.file else most.pc}" if most else ""


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
    known = {process.pid for process in collection.processes}
    unseen = [str(one.pid) for one in diagnosis.culprits if one.pid > 0 and one.pid not in known]
    if (hung is None or (hung and unseen)) and alive and len(alive) <= MOST_PIDS:
        return f"lastbatch attach {' '.join((*alive, *unseen))}"
    return f"lastbatch diagnose --verbose {source}" if source and hung is not False else ""
