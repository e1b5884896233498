"""Two reports of NCCL's RAS, some time apart, as facts about the ranks of a job. Pure.

RAS counts what ranks have launched, and says OK while one hangs in a kernel or has not come to a collective. So counts
that grew between the reports say that the job moves, counts that differ and stand say who is behind, and equal counts
say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from diagnostics.errors import EvidenceError
from diagnostics.importers import rasjson
from diagnostics.importers.vocabulary.base import fact
from diagnostics.importers.vocabulary.ncclras import Ras
from diagnostics.model import FactKind, LogFact
from diagnostics.transport.reach import Place

Member = tuple[str, int]
"""A communicator's name and a rank in it."""


def facts_of(first: str, second: str, ranks: Mapping[Place, str], gap: float) -> tuple[LogFact, ...]:
    """What the second report says, read beside the first.

    Args:
        ranks: names of the job's ranks by host, as RAS calls it, and process id. One of a communicator has another
            number than one of the job.
        gap: seconds between the two.
    """
    if not rasjson.looks_like(second.encode()):
        return tuple(_of_text(second, ranks))
    try:
        before, after = rasjson.decoded(first.encode()), rasjson.decoded(second.encode())
        said = rasjson.parse(second.encode())
    except EvidenceError:
        return ()
    launched = _launched(after)
    grew = {name: launched[name] - count for name, count in _launched(before).items() if launched.get(name, 0) > count}
    who = _who(after, ranks)
    found = [_about(one, who) for one in said if one.values.get("group") not in grew or one.kind is not FactKind.COUNTS]
    for name, count in grew.items():
        words = f"communicator {name} moves: its ranks launched {count} operations more in {gap:.1f} s"
        found.append(fact(FactKind.COUNTS, words, "", group=name, moved=str(count)))
    behind = {one.values.get("group") for one in found if one.values.get("operation")}
    for name in launched.keys() - grew.keys() - behind:
        words = (
            f"all ranks of communicator {name} have launched the same, and none more in {gap:.1f} s: RAS sees nothing "
            "wrong, which does not say that nobody hangs"
        )
        found.append(fact(FactKind.COUNTS, words, "", group=name))
    return tuple(found)


def _of_text(report: str, ranks: Mapping[Place, str]) -> Iterator[LogFact]:
    """Of a release that has no JSON: only what names a process can be told of a rank."""
    block = Ras()
    for line in report.splitlines():
        for said in block.feed(line):
            pid = said.fact.values.get("pid", "") if said.fact else ""
            if said.fact and pid.isdigit():
                named = ranks.get((said.fact.values.get("host", ""), int(pid)))
                yield msgspec.structs.replace(said.fact, about=(named,) if named else ())


def _communicators(report: Any) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    listed = report.get("communicators") if isinstance(report, dict) else None
    for index, one in enumerate(listed[: rasjson.MOST_COMMUNICATORS] if isinstance(listed, list) else []):
        if isinstance(one, dict):
            members = [*rasjson.records(one.get("ranks")), *rasjson.records(one.get("missing_ranks"))]
            yield str(one.get("hash", index))[:40], members


def _launched(report: Any) -> dict[str, int]:
    """Operations of all kinds and ranks, by communicator."""
    return {
        name: sum(sum(rasjson.counts(member).values()) for member in members)
        for name, members in _communicators(report)
    }


def _who(report: Any, ranks: Mapping[Place, str]) -> dict[Member, str]:
    found = {}
    for name, members in _communicators(report):
        for member in members:
            rank, host, pid = member.get("rank"), member.get("host"), member.get("pid")
            named = ranks.get((host, pid)) if isinstance(host, str) and isinstance(pid, int) else None
            if named and isinstance(rank, int):
                found[(name, rank)] = named
    return found


def _about(said: LogFact, who: Mapping[Member, str]) -> LogFact:
    """With the job's names for whom it is about; those that are not known are left out."""
    group = said.values.get("group", "")
    numbers = [int(one.rpartition(":")[2]) for one in said.about]
    return msgspec.structs.replace(said, about=tuple(who[group, one] for one in numbers if (group, one) in who))
