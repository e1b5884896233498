"""PyTorch's Flight Recorder, as a rank has written it into a file: a pickle, or its JSON form, of NCCL or gloo.

Form: `NCCLTraceBuffer` in `ProcessGroupNCCL.cpp` of PyTorch 2.1 and 2.2, `TraceUtils.h` of 2.3, `FlightRecorder.hpp`
since. Until 2.2 it is a list of entries; since, `{"version", "pg_config": {name: {"name", "desc", "ranks"}},
"pg_status": {number: {"last_enqueued_collective", ...}}, "entries": [{"pg_id", "process_group": (name, description),
"collective_seq_id", "p2p_seq_id", "profiling_name": "nccl:all_reduce", "input_sizes", "state":
scheduled|started|completed, "retired", "time_created_ns", "timeout_ms", "frames": [{"name", "filename", "line"}]}]}`.
Version 1 has `seq_id` for the number, and no description.

Where it lies (`DebugInfoWriter::getWriter`): the rank's number is put behind TORCH_FR_DUMP_TEMP_FILE or its older name
TORCH_NCCL_DEBUG_INFO_TEMP_FILE; by default behind `comm_lib_trace_rank_` in `torch` of the user's cache,
`nccl_trace_rank_` in releases before, in /tmp in those before 2.6. CPython 3.6, the standard library alone.
"""

import json
import os
import re
import stat
import time
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

from diagnostics.collector import namespaces, procfs
from diagnostics.collector.environment import environ_of
from diagnostics.collector.look import Fields, Look, plain
from diagnostics.collector.plain_pickle import Refused, plain_value
from diagnostics.collector.sources import mounts
from diagnostics.collector.sources.collectives import Collective, Frame, ProcessGroup, label

MOST_BYTES = 64 << 20
MOST_ENTRIES = 100000
KEPT = 64
"""Collectives kept of each group: the newest, and whatever has not completed before them."""
MOST_FRAMES = 64
MOST_GROUPS = 1000
MOST_RANKS = 20000

_NAMED = ("TORCH_FR_DUMP_TEMP_FILE", "TORCH_NCCL_DEBUG_INFO_TEMP_FILE")
_PREFIXES = ("comm_lib_trace_rank_", "nccl_trace_rank_")
_CACHE, _HOME = "XDG_CACHE_HOME", "HOME"
_CLOCKS = 0.05
"""Seconds by which the start of a process may be told too early."""


class Recording(NamedTuple):
    """What one rank recorded."""

    collectives: Tuple[Collective, ...]
    groups: Tuple[ProcessGroup, ...]


def asked(look: Look, wanted: Dict[str, Any], until: float) -> Fields:
    """`{"path", "age", "collectives", "groups", "why_not"}` of each process whose own dump lies here.

    `wanted`: `{"ranks": {process id: number in the job}}`. `age`: seconds since it was written.
    """
    found = {pid: dump_of(pid, wanted["ranks"].get(str(pid))) for pid in look.pids if time.monotonic() < until}
    return {pid: told for pid, told in found.items() if told}


def dump_of(pid: int, rank: Optional[int]) -> Dict[str, Any]:
    """The newest one that this process wrote; {} where there is none."""
    if rank is None:
        return {}
    started = time.time() - procfs.age_of(pid)
    for path in mounts.answering(pid, places(pid, rank)):
        try:
            written, data = _read(namespaces.path_of(pid, path), os.stat("/proc/%d" % pid).st_uid, started - _CLOCKS)
        except OSError:
            continue
        told: Dict[str, Any] = {"path": path, "age": round(max(0.0, time.time() - written), 3)}
        try:
            recording = parse(data)
        except Refused as error:
            return dict(told, why_not=error.message)
        return dict(told, collectives=plain(recording.collectives), groups=plain(recording.groups))
    return {}


def places(pid: int, rank: int) -> List[str]:
    """Where PyTorch writes the dump of this rank, the likeliest first."""
    env = environ_of(pid, (*_NAMED, _CACHE, _HOME))
    named = [env[name] for name in _NAMED if env.get(name)]
    home = env.get(_HOME) or "/tmp"
    folders = [folder + "/torch" for folder in (env.get(_CACHE), home + "/.cache") if folder] + ["/tmp"]
    prefixes = named[:1] or [folder + "/" + prefix for folder in folders for prefix in _PREFIXES]
    return ["%s%d" % (prefix, rank) for prefix in prefixes if prefix.startswith("/")]


def _read(path: str, owner: int, since: float) -> Tuple[float, bytes]:
    """When it was written, and what it holds.

    Raises:
        OSError: it is not there, no file of this owner, too large, or from before that time.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        known = os.fstat(handle)
        fits = stat.S_ISREG(known.st_mode) and known.st_uid == owner and 0 < known.st_size <= MOST_BYTES
        if not fits or known.st_mtime < since:
            raise OSError("no dump of this process")
        return known.st_mtime, file.read(MOST_BYTES)


def looks_like(data: bytes) -> bool:
    return data[:1] == b"\x80" or (data[:1] == b"{" and b'"entries"' in data)


def parse(data: bytes) -> Recording:
    """Raises: Refused: it is cut, broken, or no flight recorder's dump."""
    value = plain_value(data) if data[:1] == b"\x80" else _of_json(data)
    dump = {"entries": value} if isinstance(value, list) else value
    entries = dump.get("entries") if isinstance(dump, dict) else None
    if not isinstance(dump, dict) or not isinstance(entries, list):
        raise Refused("no flight recorder's dump: it has no list of entries", "")
    recorded = [entry for entry in entries[-MOST_ENTRIES:] if isinstance(entry, dict)]
    made = (_collective(entry) for entry in recorded)
    return Recording(_kept(one for one in made if one), tuple(_groups(dump, recorded)))


def _of_json(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Refused("JSON that is cut or broken", "Copy it again") from None


def _kept(found: Iterable[Collective]) -> Tuple[Collective, ...]:
    by_group: Dict[Tuple[str, bool], List[Collective]] = {}
    for collective in found:
        by_group.setdefault((collective.group, collective.p2p), []).append(collective)
    return tuple(collective for group in by_group.values() for collective in _newest(group))


def _newest(collectives: List[Collective]) -> List[Collective]:
    older, newest = collectives[:-KEPT], collectives[-KEPT:]
    return [one for one in older if one.state != "completed"][-KEPT:] + newest


def _collective(entry: Dict[Any, Any]) -> Optional[Collective]:
    p2p = entry.get("is_p2p") is True
    number = _number(entry.get("p2p_seq_id" if p2p else "collective_seq_id", entry.get("seq_id")))
    name = entry.get("profiling_name")
    if number < 0 or not isinstance(name, str):
        return None
    created, timeout = _number(entry.get("time_created_ns")), _number(entry.get("timeout_ms"))
    return Collective(
        group=label(*_group(entry)),
        seq=number,
        op=_text(name[:200].rpartition(":")[2], 100),
        sizes=_sizes(entry.get("input_sizes")) or _sizes(entry.get("output_sizes")),
        state="completed" if entry.get("retired") is True else _text(entry.get("state", ""), 20),
        frames=tuple(_frames(entry.get("frames"))),
        p2p=p2p,
        called_at=created / 1e9 if created > 0 else -1.0,
        timeout=timeout / 1000 if timeout > 0 else -1.0,
    )


def _number(value: Any) -> int:
    """-1 where there is none. JSON of some writers has numbers in quotes."""
    if isinstance(value, str) and re.match(r"[0-9]{1,18}\Z", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value < 1 << 63 else -1


def _text(value: Any, most: int) -> str:
    """What can be told on: halves of surrogate pairs cannot. A container may be written out without an end."""
    text = value if isinstance(value, str) else "%d" % value if _number(value) >= 0 else ""
    return text[:most].encode("utf-8", "replace").decode("utf-8")


def _group(entry: Dict[Any, Any]) -> Tuple[str, str]:
    """Its name and its description."""
    group = entry.get("process_group")
    if isinstance(group, (list, tuple)) and len(group) == 2:
        return _text(group[0], 100), _text(group[1], 100)
    return _text(entry.get("pg_name", entry.get("pg_id", "")), 100), ""


def _groups(dump: Dict[Any, Any], entries: Iterable[Dict[Any, Any]]) -> Iterable[ProcessGroup]:
    config, status = dump.get("pg_config"), dump.get("pg_status")
    numbers = {_group(entry)[0]: _text(entry.get("pg_id"), 100) for entry in entries}
    for name, one in list(config.items())[:MOST_GROUPS] if isinstance(config, dict) else ():
        if not isinstance(one, dict):
            continue
        own = _text(one.get("name", name), 100)
        description = _text(one.get("desc", ""), 100)
        ranks = _ranks(one.get("ranks"))
        if not ranks:
            continue  # gloo has an entry that says nothing
        last = status.get(numbers.get(own, "")) if isinstance(status, dict) else None
        done = last if isinstance(last, dict) else {}
        yield ProcessGroup(
            label(own, description), own, description, ranks, len(ranks), -1,
            enqueued=_number(done.get("last_enqueued_collective")),
            started=_number(done.get("last_started_collective")),
            completed=_number(done.get("last_completed_collective")),
        )  # fmt: skip


def _ranks(value: Any) -> Tuple[int, ...]:
    """`[0, 1]`, as a list or as text."""
    if isinstance(value, (list, tuple)):
        return tuple(rank for rank in map(_number, value[:MOST_RANKS]) if rank >= 0)
    return tuple(map(int, re.findall(r"[0-9]{1,6}", _text(value, 200_000))[:MOST_RANKS]))


def _sizes(value: Any) -> str:
    if not isinstance(value, (list, tuple)):
        return ""
    shapes = [shape for shape in value[:8] if isinstance(shape, (list, tuple))]
    return " ".join("x".join(_text(n, 20) for n in shape[:8] if _number(n) >= 0) or "scalar" for shape in shapes)


def _frames(value: Any) -> Iterable[Frame]:
    """Outermost first, as everywhere; they are written innermost first."""
    for frame in reversed(value[:MOST_FRAMES] if isinstance(value, (list, tuple)) else ()):
        if isinstance(frame, dict):
            name, file = (_text(frame.get(what, ""), 500) for what in ("name", "filename"))
            yield Frame(name, file, max(0, _number(frame.get("line"))))
