"""The JSON of `ncclras -f json` (NCCL 2.28.7 and newer). Pure.

Form, of `rasDumpCommsToJSON` in NCCL's `src/ras/client_support.cc` and "RAS" in its user guide: `{"nccl_version",
"communicators": [{"hash", "size", "ranks": [{"rank", "host", "pid", "cuda_dev", "status": {"init_state", "async_error",
"finalize_called", "destroy_flag", "abort_flag"}, "collective_counts": {"AllGather": 812}}], "missing_ranks": [{"rank",
"host", "pid", "status": {"unresponsive", "considered_dead"}}]}]}`. The monitor writes `{"event": "PEER_DEAD", "peer"}`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from diagnostics.errors import EvidenceError
from diagnostics.importers.vocabulary.base import fact
from diagnostics.model import FactKind, LogFact

MOST_COMMUNICATORS = 1000
MOST_RANKS = 20_000
_SUCCESS, _IN_PROGRESS = 0, 7
_ERRORS = {
    1: "Unhandled CUDA error", 2: "System error", 3: "Internal error", 4: "Invalid argument", 5: "Invalid usage",
    6: "Remote process error",
}  # fmt: skip
_NO_COMMA = re.compile(rb'([\d"el])(\s*\n\s*"[^"\n]{1,40}"\s*:)')
"""NCCL 2.28.9 leaves one out in each missing rank."""


def looks_like(data: bytes) -> bool:
    head = data[: 1 << 20]
    return b'"nccl_version"' in head and b'"communicators' in head


def parse(data: bytes) -> tuple[LogFact, ...]:
    """Raises: EvidenceError: it is cut or broken."""
    value = decoded(data)
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


def decoded(data: bytes) -> Any:
    """Raises: EvidenceError: it is cut or broken."""
    for candidate in (data, _NO_COMMA.sub(rb"\1,\2", data)):
        try:
            return msgspec.json.decode(candidate)
        except (msgspec.DecodeError, RecursionError):
            continue
    raise EvidenceError("JSON of ncclras that is cut or broken", "Copy it again")


def _communicator(name: str, one: dict[str, Any]) -> Iterator[LogFact]:
    ranks, missing = records(one.get("ranks")), records(one.get("missing_ranks"))
    size = one.get("size")
    words = f"communicator {name} has {size if isinstance(size, int) else len(ranks)} ranks"
    yield fact(FactKind.COUNTS, words, "", group=name)
    for rank in missing:
        yield from _silent(name, rank)
    for rank in ranks:
        yield from _status(name, rank)
    for operation in sorted({operation for rank in ranks for operation in counts(rank)}):
        yield from _differences(name, operation, ranks)


def records(listed: Any) -> list[dict[str, Any]]:
    """The records of a list of ranks."""
    return [one for one in listed[:MOST_RANKS] if isinstance(one, dict)] if isinstance(listed, list) else []


def _silent(name: str, rank: dict[str, Any]) -> Iterator[LogFact]:
    told = rank.get("status")
    status = told if isinstance(told, dict) else {}
    if status.get("considered_dead") is True:
        yield _of_rank(FactKind.HEARTBEAT_LOST, name, rank, "is considered dead: NCCL does not reach it any more")
    elif status.get("unresponsive") is False:
        yield _of_rank(FactKind.STUCK, name, rank, "answers, and is not in the communicator (yet, or any more)")
    else:
        yield _of_rank(FactKind.HEARTBEAT_LOST, name, rank, "does not answer")


def _status(name: str, rank: dict[str, Any]) -> Iterator[LogFact]:
    status = rank.get("status")
    if not isinstance(status, dict):
        return
    for key, what in (("init_state", "when it was made"), ("async_error", "since then (async_error)")):
        error = status.get(key)
        if isinstance(error, int) and error not in (_SUCCESS, _IN_PROGRESS):
            told = f"met an error of NCCL {what}: {_ERRORS.get(error, f'code {error}')}"
            yield _of_rank(FactKind.ERROR, name, rank, told)
    if status.get("init_state") == _IN_PROGRESS:
        yield _of_rank(FactKind.STUCK, name, rank, "is still making the communicator")
    if status.get("abort_flag") is True:
        yield _of_rank(FactKind.STUCK, name, rank, "aborts the communicator")
    elif status.get("finalize_called") is True or status.get("destroy_flag") is True:
        yield _of_rank(FactKind.STUCK, name, rank, "takes the communicator apart")


def _of_rank(kind: FactKind, name: str, rank: dict[str, Any], told: str) -> LogFact:
    number, pid, host = rank.get("rank"), rank.get("pid"), str(rank.get("host", ""))[:100]
    where = f" (process {pid} on {host})" if isinstance(pid, int) and pid > 0 else ""
    about = [f"worker:{number}"] if isinstance(number, int) else []
    words = f"rank {number} of communicator {name}{where} {told}"
    return fact(kind, words, "", about, group=name, pid=str(pid) if where else "", host=host if where else "")


def _differences(name: str, operation: str, ranks: list[dict[str, Any]]) -> Iterator[LogFact]:
    launched = {rank["rank"]: counts(rank).get(operation, 0) for rank in ranks if isinstance(rank.get("rank"), int)}
    often = Counter(launched.values())
    if len(often) < 2:
        return
    for count, how_many in often.most_common(8):
        who = [rank for rank, number in launched.items() if number == count]
        few = how_many <= len(launched) / 2
        named = f" ({_listed(who)})" if few else ""
        words = f"{how_many} ranks{named} have launched {operation} up to number {count} in communicator {name}"
        about = [f"worker:{rank}" for rank in who] if few else []
        yield fact(FactKind.COUNTS, words, "", about, operation=operation, number=str(count), group=name)


def _listed(ranks: Iterable[int]) -> str:
    shown = [str(rank) for rank in ranks]
    return ", ".join(shown[:16]) + (", ..." if shown[16:] else "")


def counts(rank: dict[str, Any]) -> dict[str, int]:
    """Operations that a rank has launched, by kind."""
    told = rank.get("collective_counts")
    if not isinstance(told, dict):
        return {}
    return {str(name)[:40]: number for name, number in list(told.items())[:64] if isinstance(number, int)}
