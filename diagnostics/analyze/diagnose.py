"""From a collection to a verdict: judged ranks, merged stacks, waits, causes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from diagnostics.analyze.coverage import coverage_words
from diagnostics.analyze.culprits import ALONE, find_culprits
from diagnostics.analyze.facts import Facts
from diagnostics.analyze.family import has_ended, launches, votes
from diagnostics.analyze.job import judge_with_relations
from diagnostics.analyze.loops import standing_loop
from diagnostics.analyze.progress import Limits
from diagnostics.analyze.sleep import sleep_words
from diagnostics.analyze.summary import standing_of, summary_of
from diagnostics.analyze.wait_graph import where_to_look
from diagnostics.model import Collection, Diagnosis, Finding, Process, StageError, State, Wait
from diagnostics.stacks import symbols
from diagnostics.stacks.position import main_position
from diagnostics.stacks.prefix_tree import classes_of, merge_processes

ENOUGH = 0.5
"""A finding must be more likely than not, or the verdict is `unknown`."""

_NO_HANG = ("none", "slow", "throttled")


Find = Callable[[Facts], tuple[tuple[Finding, ...], tuple[StageError, ...]]]
"""Looks for causes: findings, best first, and what failed. `causes.find_all` is it."""


def diagnose(collection: Collection, find: Find, limits: Limits = Limits()) -> tuple[Collection, Diagnosis]:
    """The collection with the state of every rank, and what it means."""
    collection, relations = judge_with_relations(collection, limits)
    facts = Facts(collection, relations)
    waits = facts.waits
    hung = is_hung(facts)
    well = hung is False and not facts.missing_ranks
    findings, errors = ((), ()) if well and _moves(facts) else find(facts)
    culprits = () if well else find_culprits(collection, waits)
    verdict, title = _verdict(facts, findings, hung)
    if title and verdict not in ("unknown", *_NO_HANG):  # the cause says why
        culprits = tuple(msgspec.structs.replace(one, why="") if one.why == ALONE else one for one in culprits)
    if hung is None and verdict not in ("unknown", *_NO_HANG):
        hung, collection = True, _as_the_cause_says(collection, title)
    standing = standing_of(collection, verdict, hung, culprits, waits)
    return collection, Diagnosis(
        verdict=verdict,
        summary=summary_of(collection, verdict, hung, culprits, title, standing),
        findings=findings,
        next_evidence=_next_evidence(facts, findings, waits) if verdict == "unknown" else (),
        hung=hung,
        culprits=culprits,
        errors=(*symbols.broken(), *errors),
        waits=waits,
        standing=standing,
        classes=classes_of(collection.processes),
        tree=merge_processes(collection.processes),
    )


def _as_the_cause_says(collection: Collection, title: str) -> Collection:
    """A cause that is carried tells of ranks that stand still that they hang."""

    def told(process: Process) -> Process:
        stands = process.state is State.UNKNOWN and process.samples and votes(process, collection.processes)
        why = f"{process.state_why}: {title}"
        return msgspec.structs.replace(process, state=State.HUNG, state_why=why) if stands else process

    return msgspec.structs.replace(collection, processes=tuple(map(told, collection.processes)))


def is_hung(facts: Facts) -> bool | None:
    """Whether the job hangs; None where it cannot be told. Launchers, idle servers and idle children do not vote."""
    if facts.hung:
        return True
    if facts.dead:
        return _hangs_for_the_dead(facts, facts.dead)
    voters = [process for process in facts.processes if votes(process, facts.processes)]
    if not voters and not any(process.state is State.IDLE for process in facts.processes):
        return None
    if _asking_script(facts):
        return None
    return None if any(process.state in (State.UNKNOWN, State.UNREACHABLE) for process in voters) else False


def _asking_script(facts: Facts) -> str:
    """Who is left of the job and does nothing but ask, where only its last `sleep` has ended; "" else."""
    if not all(has_ended(process) for process in facts.processes if votes(process, facts.processes)):
        return ""
    for process in facts.processes:
        standing = standing_loop(process)
        if standing and standing.loop.asks and not standing.loop.until_ended and not has_ended(process):
            main = main_position(process)
            return f"{process.rank} waits for {main.waits_for}" if main and main.waits_for else process.rank
    return ""


def _hangs_for_the_dead(facts: Facts, dead: Sequence[Process]) -> bool | None:
    """Whether others are held up by ranks that are gone, not only about to go as well.

    Where nobody is left, and nobody is known to have failed, the job has ended while it was looked at.
    """
    if any(process.exit_status is not None for process in dead):
        return True
    left = [
        process for process in facts.processes
        if not has_ended(process) and not launches(process, facts.processes)
    ]  # fmt: skip
    if not left:
        return False
    return None if all(process.state is State.PROGRESSING for process in left) else True


def _moves(facts: Facts) -> bool:
    return not any(process.state is State.SLOW for process in facts.processes)


def _verdict(facts: Facts, findings: tuple[Finding, ...], hung: bool | None) -> tuple[str, str]:
    if findings and findings[0].confidence > ENOUGH:
        return findings[0].family, findings[0].title
    if not facts.processes:
        return "unknown", "there is no evidence of any process"
    slow = [process for process in facts.processes if process.state is State.SLOW]
    if slow and not facts.hung:
        return "slow", f"{_listed(slow)} is slower than its own history, but it moves"
    if hung is False and all(has_ended(p) or launches(p, facts.processes) for p in facts.processes):
        return "none", "the job has ended while it was looked at"
    if hung is False and not facts.missing_ranks:
        return "none", "every rank progresses, serves, waits for one that moves, or has finished"
    if facts.missing_ranks:
        names = ", ".join(facts.missing_ranks[:4])
        more = f" and {len(facts.missing_ranks) - 4} more" if len(facts.missing_ranks) > 4 else ""
        return "unknown", f"no process is known of {names}{more}"
    return "unknown", _asking_script(facts)


def _listed(processes: list[Process]) -> str:
    shown = ", ".join(process.rank for process in processes[:4])
    return shown + (f" and {len(processes) - 4} more" if len(processes) > 4 else "")


def _rest_of_the_job(facts: Facts) -> list[str]:
    """Of a live job only some of whose ranks were named."""
    here = {process.rank for process in facts.processes if not process.dump}
    part = next((group for group in facts.groups if group.coverage and here & group.members.keys()), None)
    if part is None:
        return []
    return [f"the rest of the job: {part.coverage} were looked at. `lastbatch attach --list` names it: attach to all"]


def _next_evidence(facts: Facts, findings: tuple[Finding, ...], waits: tuple[Wait, ...]) -> tuple[str, ...]:
    """What would decide: first what the likeliest causes lack, then what any diagnosis needs."""
    wanted = [*_rest_of_the_job(facts), *coverage_words(facts.collection)]
    wanted += [missing for finding in findings[:2] for missing in finding.missing]
    wanted += where_to_look(waits)
    if len(facts.processes) > 1 and len(classes_of(facts.processes)) == 1 and any(p.threads for p in facts.processes):
        wanted.append("the last collective, step and batch of each rank: all look the same, so stacks blame none")
    unread = [process.rank for process in facts.processes if not process.threads]
    if unread:
        wanted.append(f"stacks of {', '.join(unread[:6])}; `lastbatch diagnose --verbose` says why there are none")
    away = {one.rank for one in facts.absent}
    if elsewhere := [rank for rank in facts.missing_ranks if rank not in away]:
        wanted.append(f"attach to {', '.join(elsewhere[:6])} as well, or see whether it runs at all")
    if not any(process.flight for process in facts.processes):
        wanted.append(
            "the flight recorder's account, from the next start on: it knows each rank's own pace (docs/recorder.md)"
        )
    unknown = [process for process in facts.processes if process.state is State.UNKNOWN]
    sleeps = [words for process in unknown if (words := sleep_words(process))]
    if sleeps and len(sleeps) == len(unknown):
        wanted.append(
            f"another answer once {sleeps[0]} is over (attach again): whether anything ran in between tells; that it "
            "sleeps again does not"
        )
    elif unknown:
        wanted.append("another answer in a minute (attach again): what still stands in the same place then is stuck")
    return tuple(dict.fromkeys(wanted))
