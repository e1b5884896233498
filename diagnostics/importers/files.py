"""Files of any kind as one collection: told by their content, one process each, several tools' views of one joined."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from diagnostics.errors import EvidenceError, UsageError
from diagnostics.importers import flightrecorder, messages
from diagnostics.importers.lines import lines_of
from diagnostics.importers.ranks import rank_in, rank_of_command
from diagnostics.importers.scan import Open, Seen, scan
from diagnostics.model import Collection, Collective, Process, Thread
from diagnostics.model.rank import RankKind, child, parse
from diagnostics.model.rank import process as unnamed
from diagnostics.stacks.merge import weave_threads
from diagnostics.stacks.tools import Unreadable, pyspy
from diagnostics.version import __version__

LARGEST = 256 << 20
"""Bytes; of a longer text the end is read, where the hang is."""

FORMATS = (
    "py-spy dump (text, JSON), pystack, gdb thread apply all bt, eu-stack, faulthandler, a traceback at interruption, "
    "logs of TensorFlow, Horovod and NCCL, PyTorch's Flight Recorder"
)
UNNAMED = "dump"
_PYTHON_TOOLS = ("pystack", "py-spy", "faulthandler", "traceback")
_NATIVE_TOOLS = ("gdb", "eu-stack")


class Imported(msgspec.Struct, frozen=True):
    """What one file gave. `expected` are ranks that it says there should be; `stem` is the file's name."""

    processes: tuple[Process, ...]
    expected: tuple[str, ...] = ()
    stem: str = ""


def read(path: Path) -> Imported:
    """Raises: UsageError: it cannot be read. EvidenceError: nothing in it is of a known form."""
    data = _bytes(path)
    named = rank_in(path.name) or rank_in(path.parent.name)
    try:
        imported = _of_structure(data, named) or _of_text(data, named)
    except EvidenceError as error:
        raise EvidenceError(f"{path}: {error.message}", error.hint) from None
    if not imported.processes:
        raise EvidenceError(f"{path}: nothing in it is of a known form", f"Known are bundles, {FORMATS}")
    stem = path.name.split(".")[0] or path.name
    renamed = (msgspec.structs.replace(p, rank=stem) if p.rank == UNNAMED else p for p in imported.processes)
    return Imported(tuple(renamed), imported.expected, stem)


def _bytes(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise UsageError(f"{path} is no file", "Give bundles or other tools' dumps")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - LARGEST))
            return file.read(LARGEST)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None


def _of_structure(data: bytes, named: str) -> Imported | None:
    start = data[:64].lstrip()
    if data[:4] == b"\x7fELF":
        raise EvidenceError(
            "a program or core file", "Turn it to text: gdb -batch -ex 'thread apply all bt' PROGRAM CORE"
        )
    if flightrecorder.looks_like(data if start[:1] != b"{" else data.lstrip()):
        recording = flightrecorder.parse(data.lstrip() if start[:1] == b"{" else data)
        process = Process(named or UNNAMED, 0, "", collectives=recording.collectives, dump="flight recorder")
        return Imported((process,), tuple(f"worker:{rank}" for rank in recording.ranks) if named else ())
    if start[:1] == b"[" and b'"frames"' in data[:65536]:
        return _of_spy_json(data, named)
    return None


def _of_spy_json(data: bytes, named: str) -> Imported | None:
    try:
        threads = pyspy.parse(data)
        pids = msgspec.json.decode(data, type=list[dict[str, object]])
    except (Unreadable, msgspec.DecodeError):
        raise EvidenceError("JSON of py-spy that is cut or broken", "Copy it again, or use its text form") from None
    pid = pids[0].get("pid") if pids else None
    number = pid if isinstance(pid, int) else 0
    main_first = tuple(sorted(threads, key=lambda thread: (thread.name != "MainThread", thread.tid)))
    rank = named or _by_pid(number)
    return Imported((Process(rank, number, "", threads=main_first, stacks_from="py-spy", dump="py-spy"),))


def _of_text(data: bytes, named: str) -> Imported:
    sources: dict[str, list[str]] = {}
    for line in lines_of(data.decode("utf-8", "replace")):
        sources.setdefault(line.source, []).append(line.text)
    processes: list[Process] = []
    for source, lines in sources.items():
        rank = (rank_in(source) or source) if source else named
        processes += _of_source(scan(lines), rank)
    said = messages.collectives_in(line for lines in sources.values() for line in lines)
    missing = messages.ranks_missing_at(line for lines in sources.values() for line in lines)
    return Imported(_with_collectives(processes, said, named), tuple(missing))


def _of_source(found: list[Seen], rank: str) -> list[Process]:
    """The first process that a source speaks of is the rank itself, others are its children."""
    made = []
    for index, seen in enumerate(found):
        if not (seen.takes or seen.known):
            continue
        own, pid = rank_of_command(seen.command) or rank, seen.pid or _main_tid(seen)
        name = own if own and not (index and own == rank) else str(child(rank, pid)) if rank else _by_pid(pid)
        made.append(_process(seen, name, pid))
    return made


def _by_pid(pid: int) -> str:
    return str(unnamed(pid)) if pid else UNNAMED


def _process(seen: Seen, rank: str, pid: int) -> Process:
    tools = [tool for tool in seen.takes if seen.takes[tool]]
    native = next((tool for tool in _NATIVE_TOOLS if tool in tools), "")
    addresses = {opened.head.pthread: opened.head.tid for opened in seen.takes.get("gdb", {}).values()}
    views = {tool: _threads(seen.takes[tool], addresses, pid) for tool in tools}
    python = next((tool for tool in _PYTHON_TOOLS if tool in tools), "")
    spoken, silent = views.get(python, ()), views.get(native, ())
    merged = any(frame.native for thread in spoken for frame in thread.frames)
    threads = spoken if merged or not silent else weave_threads(spoken, silent)
    return Process(
        rank=rank, pid=pid, host="", stacks_from="+".join(tools), threads=_main_first(threads, pid, python),
        command=(seen.command,) if seen.command else (), log_tail=seen.messages, dump=", ".join(tools) or "log",
    )  # fmt: skip


def _main_tid(seen: Seen) -> int:
    """The main thread's id, which is the process's: said by gdb and py-spy, else the smallest that there is."""
    opened = [thread for takes in seen.takes.values() for thread in takes.values() if thread.head.tid]
    main = [thread.head.tid for thread in opened if thread.head.main]
    return main[0] if main else min((thread.head.tid for thread in opened), default=0)


def _threads(takes: dict[int, Open], addresses: dict[int, int], pid: int) -> tuple[Thread, ...]:
    made = []
    for number, opened in enumerate(takes.values(), 1):
        head = opened.head
        tid = head.tid or addresses.get(head.pthread, 0) or (pid if head.main else 0) or head.pthread or number
        made.append(opened.thread(tid))
    return tuple(made)


def _main_first(threads: tuple[Thread, ...], pid: int, tool: str) -> tuple[Thread, ...]:
    """faulthandler writes the main thread last; elsewhere it has the process's id."""
    if tool == "faulthandler" and not any(thread.tid == pid for thread in threads):
        return threads[::-1]
    return tuple(sorted(threads, key=lambda thread: (thread.tid != pid, thread.tid)))


def _with_collectives(
    processes: Sequence[Process], said: dict[str, tuple[Collective, ...]], named: str
) -> tuple[Process, ...]:
    """What watchdogs said goes to the rank that they name, whoever's log it stands in."""
    by_rank = {process.rank: process for process in processes}
    if len(processes) == 1 and len(said) == 1 and not named:
        # The only rank that a log speaks of is its own.
        (rank,) = said
        by_rank = {rank: msgspec.structs.replace(processes[0], rank=rank)}
    for rank, collectives in said.items():
        known = by_rank.get(rank) or Process(rank, 0, "", dump="log")
        by_rank[rank] = msgspec.structs.replace(known, collectives=known.collectives + collectives)
    return tuple(by_rank.values())


def collection_of(imports: Sequence[Imported]) -> Collection:
    """All files as one collection: what several say of one rank is joined."""
    ranks: dict[str, Process] = {}
    for imported in imports:
        for process in imported.processes:
            name = _name_among(ranks, process, imported.stem)
            known = ranks.get(name)
            ranks[name] = joined(known, process) if known else msgspec.structs.replace(process, rank=name)
    return Collection(
        collected_at=0.0,
        seconds=0.0,
        processes=tuple(ranks.values()),
        expected=tuple(dict.fromkeys(rank for imported in imports for rank in imported.expected)),
        tool_version=__version__,
    )


def _name_among(ranks: dict[str, Process], process: Process, stem: str) -> str:
    """The rank that a dump without one belongs to: another tool's view of the same pid, else one of its own.

    The same tool and pid in two files are two processes: in containers many ranks have the same pid.
    """
    if parse(process.rank).kind is not RankKind.PROCESS:
        return process.rank
    same = [known for known in ranks.values() if known.pid == process.pid and known.dump != process.dump]
    if same:
        return same[0].rank
    return stem if process.rank in ranks else process.rank


def joined(first: Process, second: Process) -> Process:
    """Two dumps of the same rank as one: Python's view of one tool, the native view of another."""
    python, native = sorted((first, second), key=_is_native)
    if _is_native(native) and not _is_native(python):
        threads = weave_threads(python.threads, native.threads) if native.threads else python.threads
    else:
        threads = second.threads or first.threads  # the newer look
    pid = first.pid or second.pid
    return msgspec.structs.replace(
        first,
        pid=pid,
        threads=tuple(sorted(threads, key=lambda thread: thread.tid != pid)),
        stacks_from="+".join(dict.fromkeys(part for part in (first.stacks_from, second.stacks_from) if part)),
        dump=", ".join(dict.fromkeys(part for part in (first.dump, second.dump) if part)),
        command=first.command or second.command,
        log_tail=first.log_tail + second.log_tail,
        collectives=first.collectives + second.collectives,
    )


def _is_native(process: Process) -> bool:
    return bool(process.threads) and all(frame.native for thread in process.threads for frame in thread.frames)
