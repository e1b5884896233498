"""PyTorch's Flight Recorder: `torch_nccl_trace_rank_N` (a pickle) or its JSON form, of NCCL or gloo.

Form: torch/distributed/flight_recorder and `FlightRecorder.hpp` of PyTorch 2.x: `{"version", "pg_config", "pg_status",
"entries": [{"process_group": (id, name), "collective_seq_id", "profiling_name": "nccl:all_reduce", "input_sizes",
"state": scheduled|started|completed, "retired", "frames": [{"name", "filename", "line"}]}]}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from diagnostics.errors import EvidenceError
from diagnostics.importers.unpickle import plain_value
from diagnostics.model import Collective, Frame, LogFact

MOST_ENTRIES = 100_000
KEPT = 64
"""Collectives kept of each group: the newest, and whatever has not completed before them."""
MOST_FRAMES = 64


class Recording(msgspec.Struct, frozen=True):
    """What one rank recorded. `ranks` are those of the groups that it names."""

    collectives: tuple[Collective, ...]
    ranks: tuple[int, ...]
    facts: tuple[LogFact, ...] = ()


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
    entries = value.get("entries") if isinstance(value, dict) else None
    if not isinstance(entries, list):
        raise EvidenceError("no flight recorder's dump: it has no list of entries")
    found = [made for entry in entries[-MOST_ENTRIES:] if (made := _collective(entry))]
    return Recording(_kept(found), _ranks(value.get("pg_config")))


def _kept(found: Iterable[Collective]) -> tuple[Collective, ...]:
    by_group: dict[str, list[Collective]] = {}
    for collective in found:
        by_group.setdefault(collective.group, []).append(collective)
    return tuple(collective for group in by_group.values() for collective in group[-KEPT:])


def _collective(entry: Any) -> Collective | None:
    if not isinstance(entry, dict) or entry.get("is_p2p") is True:
        return None
    seq, name = entry.get("collective_seq_id", entry.get("seq_id")), entry.get("profiling_name")
    if not isinstance(seq, int) or not isinstance(name, str):
        return None
    done = entry.get("retired") is True
    return Collective(
        group=_group(entry),
        seq=seq,
        op=name.rpartition(":")[2][:100],
        sizes=_sizes(entry.get("input_sizes")),
        state="completed" if done else str(entry.get("state", ""))[:20],
        frames=tuple(_frames(entry.get("frames"))),
    )


def _group(entry: dict[Any, Any]) -> str:
    group = entry.get("process_group")
    if isinstance(group, list | tuple) and len(group) == 2:
        return f"{group[1] or group[0]}"[:100]
    return str(entry.get("pg_id", ""))[:100]


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


def _ranks(config: Any) -> tuple[int, ...]:
    if not isinstance(config, dict):
        return ()
    said = [str(group.get("ranks", ""))[:65536] for group in list(config.values())[:1000] if isinstance(group, dict)]
    return tuple(sorted({int(number) for text in said for number in re.findall(r"\d{1,6}", text)}))
