"""PyTorch's Flight Recorder: `torch_nccl_trace_rank_N` (a pickle) or its JSON form, of NCCL or gloo.

Form: `NCCLTraceBuffer` in `ProcessGroupNCCL.cpp` of PyTorch 2.1 and 2.2, `TraceUtils.h` of 2.3, `FlightRecorder.hpp`
since. Until 2.2 it is a list of entries; since, `{"version", "pg_config": {name: {"name", "desc", "ranks"}},
"pg_status": {number: {"last_enqueued_collective", ...}}, "entries": [{"pg_id", "process_group": (name, description),
"collective_seq_id", "p2p_seq_id", "profiling_name": "nccl:all_reduce", "input_sizes", "state":
scheduled|started|completed, "retired", "time_created_ns", "timeout_ms", "frames": [{"name", "filename", "line"}]}]}`.
Version 1 has `seq_id` for the number, and no description.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from diagnostics.collector.sources.collectives import label
from diagnostics.errors import EvidenceError
from diagnostics.importers.unpickle import plain_value
from diagnostics.model import Collective, Frame, ProcessGroup

MOST_ENTRIES = 100_000
KEPT = 64
"""Collectives kept of each group: the newest, and whatever has not completed before them."""
MOST_FRAMES = 64
MOST_GROUPS = 1000
MOST_RANKS = 20_000


class Recording(msgspec.Struct, frozen=True):
    """What one rank recorded. `ranks` are those of the groups that it names."""

    collectives: tuple[Collective, ...]
    ranks: tuple[int, ...]
    groups: tuple[ProcessGroup, ...] = ()


def looks_like(data: bytes) -> bool:
    return data[:1] == b"\x80" or (data[:1] == b"{" and b'"entries"' in data)


def parse(data: bytes) -> Recording:
    """Raises: EvidenceError: it is cut, broken, or no flight recorder's dump."""
    if data[:1] == b"\x80":
        value = plain_value(data)
    else:
        try:
            value = msgspec.json.decode(data)
        except (msgspec.DecodeError, RecursionError):
            raise EvidenceError("JSON that is cut or broken", "Copy it again") from None
    dump = {"entries": value} if isinstance(value, list) else value
    entries = dump.get("entries") if isinstance(dump, dict) else None
    if not isinstance(entries, list):
        raise EvidenceError("no flight recorder's dump: it has no list of entries")
    recorded = [entry for entry in entries[-MOST_ENTRIES:] if isinstance(entry, dict)]
    groups = tuple(_groups(dump, recorded))
    return Recording(
        _kept(made for entry in recorded if (made := _collective(entry))),
        tuple(sorted({rank for group in groups for rank in group.ranks})),
        groups=groups,
    )


def _kept(found: Iterable[Collective]) -> tuple[Collective, ...]:
    by_group: dict[tuple[str, bool], list[Collective]] = {}
    for collective in found:
        by_group.setdefault((collective.group, collective.p2p), []).append(collective)
    return tuple(collective for group in by_group.values() for collective in _newest(group))


def _newest(collectives: list[Collective]) -> list[Collective]:
    older, newest = collectives[:-KEPT], collectives[-KEPT:]
    return [one for one in older if one.state != "completed"][-KEPT:] + newest


def _collective(entry: dict[Any, Any]) -> Collective | None:
    p2p = entry.get("is_p2p") is True
    number = _number(entry.get("p2p_seq_id" if p2p else "collective_seq_id", entry.get("seq_id")))
    name = entry.get("profiling_name")
    if number < 0 or not isinstance(name, str):
        return None
    created, timeout = _number(entry.get("time_created_ns")), _number(entry.get("timeout_ms"))
    return Collective(
        group=label(*_group(entry)),
        seq=number,
        op=name.rpartition(":")[2][:100],
        sizes=_sizes(entry.get("input_sizes")) or _sizes(entry.get("output_sizes")),
        state="completed" if entry.get("retired") is True else str(entry.get("state", ""))[:20],
        frames=tuple(_frames(entry.get("frames"))),
        p2p=p2p,
        called_at=created / 1e9 if created > 0 else -1.0,
        timeout=timeout / 1000 if timeout > 0 else -1.0,
    )


def _number(value: Any) -> int:
    """-1 where there is none. JSON of some writers has numbers in quotes."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def _group(entry: dict[Any, Any]) -> tuple[str, str]:
    """Its name and its description."""
    group = entry.get("process_group")
    if isinstance(group, list | tuple) and len(group) == 2:
        return str(group[0])[:100], str(group[1])[:100]
    return str(entry.get("pg_name", entry.get("pg_id", "")))[:100], ""


def _groups(dump: dict[Any, Any], entries: Iterable[dict[Any, Any]]) -> Iterator[ProcessGroup]:
    config, status = dump.get("pg_config"), dump.get("pg_status")
    numbers = {_group(entry)[0]: str(entry.get("pg_id")) for entry in entries}
    for name, one in list(config.items())[:MOST_GROUPS] if isinstance(config, dict) else ():
        if not isinstance(one, dict):
            continue
        own = str(one.get("name", name))[:100]
        description = str(one.get("desc", ""))[:100]
        ranks = _ranks(one.get("ranks"))
        if not ranks:
            continue  # gloo has an entry that says nothing
        last = status.get(numbers.get(own, "")) if isinstance(status, dict) else None
        done = last if isinstance(last, dict) else {}
        yield ProcessGroup(
            label(own, description), own, description, ranks, len(ranks),
            enqueued=_number(done.get("last_enqueued_collective")),
            started=_number(done.get("last_started_collective")),
            completed=_number(done.get("last_completed_collective")),
        )  # fmt: skip


def _ranks(value: Any) -> tuple[int, ...]:
    """`[0, 1]`, as a list or as text."""
    if isinstance(value, list | tuple):
        return tuple(rank for rank in map(_number, value[:MOST_RANKS]) if rank >= 0)
    return tuple(map(int, re.findall(r"\d{1,6}", str(value)[:200_000])[:MOST_RANKS])) if value else ()


def _sizes(value: Any) -> str:
    if not isinstance(value, list | tuple):
        return ""
    shapes = [shape for shape in value[:8] if isinstance(shape, list | tuple)]
    return " ".join("x".join(str(n) for n in shape[:8] if isinstance(n, int)) or "scalar" for shape in shapes)


def _frames(value: Any) -> Iterable[Frame]:
    """Outermost first, as everywhere; they are written innermost first."""
    for frame in reversed(value[:MOST_FRAMES] if isinstance(value, list | tuple) else ()):
        if isinstance(frame, dict):
            line = frame.get("line")
            yield Frame(
                str(frame.get("name", ""))[:500],
                str(frame.get("filename", ""))[:500],
                line if isinstance(line, int) else 0,
            )
