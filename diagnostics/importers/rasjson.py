"""The JSON of `ncclras -f json` (NCCL 2.28 and newer). Pure.

Form: `{"nccl_version", "communicators_count", "communicators": [{"hash", "size", "ranks": [{"rank", "host", "pid",
"coll_op_count" | "collective_counts": {"AllGather": 812}, "status": {...}}], "missing_ranks": [...]}]}`. Names differ
between releases, so counts are found by their form.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from diagnostics.errors import EvidenceError
from diagnostics.importers.vocabulary.base import fact
from diagnostics.model import FactKind, LogFact

MOST_COMMUNICATORS = 1000
MOST_RANKS = 20_000
_COUNTERS = ("collective_counts", "coll_op_counts", "operation_counts", "op_counts", "coll_counts")


def looks_like(data: bytes) -> bool:
    head = data[:1 << 20]
    return b'"nccl_version"' in head and b'"communicators' in head


def parse(data: bytes) -> tuple[LogFact, ...]:
    """Raises: EvidenceError: it is cut or broken."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        raise EvidenceError("JSON of ncclras that is cut or broken", "Copy it again") from None
    communicators = value.get("communicators") if isinstance(value, dict) else None
    if not isinstance(communicators, list):
        raise EvidenceError("JSON of ncclras without communicators")
    made = [
        made
        for index, one in enumerate(communicators[:MOST_COMMUNICATORS])
        if isinstance(one, dict)
        for made in _communicator(str(one.get("hash", index))[:40], one)
    ]
    return tuple(made)


def _communicator(name: str, one: dict[str, Any]) -> Iterator[LogFact]:
    listed = one.get("ranks")
    ranks = [rank for rank in listed[:MOST_RANKS] if isinstance(rank, dict)] if isinstance(listed, list) else []
    size = one.get("size")
    yield fact(FactKind.COUNTS, f"communicator {name} has {size if isinstance(size, int) else len(ranks)} ranks", "",
               group=name)  # fmt: skip
    missing = one.get("missing_ranks") or one.get("missing")
    for rank in missing[:MOST_RANKS] if isinstance(missing, list) else []:
        number = rank.get("rank") if isinstance(rank, dict) else rank
        if isinstance(number, int):
            words = f"rank {number} of communicator {name} does not answer"
            yield fact(FactKind.HEARTBEAT_LOST, words, "", [f"worker:{number}"], group=name)
    for operation in sorted({operation for rank in ranks for operation in _counts(rank)}):
        yield from _differences(name, operation, ranks)


def _differences(name: str, operation: str, ranks: list[dict[str, Any]]) -> Iterator[LogFact]:
    counts = {rank["rank"]: _counts(rank).get(operation, 0) for rank in ranks if isinstance(rank.get("rank"), int)}
    often = Counter(counts.values())
    if len(often) < 2:
        return
    for count, how_many in often.most_common(8):
        who = [rank for rank, number in counts.items() if number == count]
        named = f" ({', '.join(map(str, who[:16]))})" if how_many <= len(counts) / 2 else ""
        words = f"{how_many} ranks{named} have launched {operation} up to number {count} in communicator {name}"
        about = [f"worker:{rank}" for rank in who] if named else []
        yield fact(FactKind.COUNTS, words, "", about, operation=operation, number=str(count), group=name)


def _counts(rank: dict[str, Any]) -> dict[str, int]:
    for key in _COUNTERS:
        if isinstance(counts := rank.get(key), dict):
            return {str(name)[:40]: number for name, number in counts.items() if isinstance(number, int)}
    single = rank.get("coll_op_count", rank.get("collective_count"))
    return {"collectives": single} if isinstance(single, int) else {}
