"""Files of any kind as one collection: told by their content, one process each, several tools' views of one joined."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from diagnostics.errors import EvidenceError, UsageError
from diagnostics.importers import core, flightrecorder, rasjson
from diagnostics.importers.lines import Line, lines_of
from diagnostics.importers.processes import Text, name_of, processes_of
from diagnostics.importers.ranks import rank_of_path
from diagnostics.importers.scan import scan
from diagnostics.importers.text import decoded, is_text
from diagnostics.model import Collection, Process
from diagnostics.model.rank import RankKind, parse
from diagnostics.stacks.merge import merge_threads
from diagnostics.stacks.tools import Unreadable, pyspy
from diagnostics.version import release

LARGEST = 64 << 20
"""Bytes; of a longer text the end is read, where the hang is."""

FORMATS = (
    "py-spy dump (text, JSON), pystack, gdb, lldb, eu-stack, austin, faulthandler, tracebacks, asyncio tasks, jstack, "
    "goroutines, sample, WinDbg, /proc/PID/stack, ps, strace, dmesg, logs of PyTorch, NCCL (also ncclras), "
    "TensorFlow, JAX, Horovod, DeepSpeed, Ray, vLLM, SGLang, MPI, Slurm, PyTorch's Flight Recorder"
)
UNNAMED = "dump"


class Imported(msgspec.Struct, frozen=True):
    """What one file gave. `expected` are ranks that it says there should be; `stem` is the file's name."""

    processes: tuple[Process, ...]
    expected: tuple[str, ...] = ()
    stem: str = ""


def read(path: Path) -> Imported:
    """Raises: UsageError: it cannot be read. EvidenceError: nothing in it is of a known form."""
    try:
        return imported(_bytes(path), str(path), path)
    except EvidenceError as error:
        raise EvidenceError(f"{path}: {error.message}", error.hint) from None


def imported(data: bytes, name: str, path: Path | None = None) -> Imported:
    """What the bytes say. `name` is a file's, which may tell the rank.

    Raises:
        EvidenceError: nothing in them is of a known form.
    """
    named = rank_of_path(name)
    given = _of_structure(data, named, path) or _of_text(data, named)
    stem = Path(name).name.split(".")[0] or Path(name).name
    renamed = (msgspec.structs.replace(p, rank=stem) if p.rank == UNNAMED else p for p in given.processes)
    return Imported(tuple(renamed), given.expected, stem)


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


def _of_structure(data: bytes, named: str, path: Path | None) -> Imported | None:
    start = data[:64].lstrip()
    if data[:4] == b"\x7fELF":
        return _of_text(core.stacks_of(path), named) if path else None
    if start[:1] == b"{" and rasjson.looks_like(data):
        return Imported((Process(named or UNNAMED, 0, "", facts=rasjson.parse(data), dump="ncclras"),))
    if flightrecorder.looks_like(data if start[:1] != b"{" else data.lstrip()):
        recording = flightrecorder.parse(data.lstrip() if start[:1] == b"{" else data)
        process = Process(
            named or UNNAMED, 0, "", collectives=recording.collectives, groups=recording.groups, dump="flight recorder"
        )
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
    rank = named or name_of(number) or UNNAMED
    return Imported((Process(rank, number, "", threads=main_first, stacks_from="py-spy", dump="py-spy"),))


def _of_text(data: bytes, named: str) -> Imported:
    if not data.strip():
        raise EvidenceError("it is empty", "Copy it again")
    if not is_text(data):
        raise EvidenceError("it is no text", f"Known are bundles, {FORMATS}")
    text, sources, last = decoded(data), dict[str, list[Line]](), Line("", "")
    for line in lines_of(text):
        sources.setdefault(line.source, []).append(line)
        last = line
    texts = [
        Text(source, next((line.pid for line in lines if line.pid), 0), scan(line.text for line in lines))
        for source, lines in sources.items()
    ]
    for source, _, scanner in texts:
        if source == last.source and last.text and not text.endswith(("\n", "\r")):
            scanner.end_within(last.text)
    processes, expected = processes_of(texts, named, UNNAMED)
    if not processes:
        raise EvidenceError("nothing in it is of a known form", f"Known are bundles, {FORMATS}")
    return Imported(processes, expected)


def collection_of(imports: Sequence[Imported]) -> Collection:
    """All files as one collection: what several say of one rank is joined."""
    ranks: dict[str, Process] = {}
    for given in imports:
        for process in given.processes:
            name = _name_among(ranks, process, given.stem)
            known = ranks.get(name)
            ranks[name] = joined(known, process) if known else msgspec.structs.replace(process, rank=name)
    return Collection(
        collected_at=0.0,
        seconds=0.0,
        processes=tuple(ranks.values()),
        expected=tuple(dict.fromkeys(rank for given in imports for rank in given.expected)),
        tool_version=release(),
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
        threads = merge_threads(python.threads, native.threads) if native.threads else python.threads
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
        facts=first.facts + second.facts,
        collectives=first.collectives + second.collectives,
        groups=first.groups or second.groups,
    )


def _is_native(process: Process) -> bool:
    return bool(process.threads) and all(frame.native for thread in process.threads for frame in thread.frames)
