"""What an agent sent, decoded strictly and turned into the model. Nothing of it is trusted. Pure, but for a clock."""

from __future__ import annotations

import base64
import binascii
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from diagnostics.collector.sources import recorder as flight
from diagnostics.collector.stacks import gdb, pyspy
from diagnostics.collector.stacks.base import RungError, explain
from diagnostics.collector.stacks.unwinders import thread_of
from diagnostics.discover.identity import identity_of
from diagnostics.discover.scan import Seen
from diagnostics.errors import EvidenceError
from diagnostics.model import Attempt, BlockingCall, Connection, Flight, Process, Sample, Thread, Versions
from diagnostics.recorder import RecordingError, read
from diagnostics.stacks.merge import weave_threads

_PYTHON = re.compile(r"libpython(\d+\.\d+)|/bin/python(\d+\.\d+)")
_FRAMEWORK = re.compile(r"^(tensorflow|torch)\w*-([0-9][\d.]*)")


class SeenThere(msgspec.Struct):
    pid: int
    parent: int
    uid: int = -1
    command: tuple[str, ...] = ()
    environ: dict[str, str] = {}
    cgroup: str = ""
    frameworks: tuple[str, ...] = ()
    listens: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()


class RungThere(msgspec.Struct):
    text: str = ""
    threads: tuple[tuple[int, list[tuple[str, str]]], ...] = ()
    why_not: str = ""
    seconds: float = 0.0
    pause: float = 0.0
    pid: int = 0


class ProcessThere(msgspec.Struct):
    pid: int
    samples: tuple[Sample, ...] = ()
    command: tuple[str, ...] = ()
    mapped: tuple[str, ...] = ()
    blocking_calls: tuple[BlockingCall, ...] = ()
    connections: tuple[Connection, ...] = ()
    listens: tuple[str, ...] = ()
    log_tail: tuple[str, ...] = ()
    recorder: str = ""
    read_at: float = 0.0
    frameworks: tuple[str, ...] = ()
    rungs: dict[str, RungThere] = {}
    state_after: str = ""


class Answer(msgspec.Struct):
    """All that an agent says. `why_not` is ours: what it could not do."""

    host: str
    machine: str = ""
    kernel: str = ""
    seen: tuple[SeenThere, ...] = ()
    processes: tuple[ProcessThere, ...] = ()


def decode(output: bytes) -> Answer:
    """The agent's document, which is the last line: a login may print words of its own before it.

    Raises:
        EvidenceError: it is something else.
    """
    from diagnostics.transport import shell_answers

    if shell_answers.MARK in output[:4096]:
        return msgspec.convert(shell_answers.parse(output.decode("utf-8", "replace")), type=Answer)
    line = output.strip().rpartition(b"\n")[2]
    try:
        return msgspec.json.decode(line, type=Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EvidenceError(f"the host answered with something else than evidence: {error}") from None


def seen_there(answer: Answer) -> tuple[Seen, ...]:
    return tuple(
        Seen(
            pid=one.pid, parent=one.parent, uid=one.uid, command=one.command,
            identity=identity_of(one.environ, one.command, one.cgroup),
            framework=next(iter(re.findall("/(tensorflow|torch|jaxlib)/", " ".join(one.frameworks))), ""),
            listens=one.listens, links=one.links,
        )
        for one in answer.seen
    )  # fmt: skip


def process_of(found: ProcessThere, rank: str, host: str, kernel: str) -> Process:
    """One process with its stacks woven, as if it had been collected here."""
    attempts, threads, rung = _stacks(found.rungs)
    recording = _flight(found)
    names = {sample.tid: sample.name for sample in found.samples[-1].threads} if found.samples else {}
    return Process(
        rank=rank or (recording.rank if recording else "") or f"pid:{found.pid}",
        pid=found.pid,
        host=host,
        stacks_from=rung,
        pause=max((tried.pause for tried in attempts), default=0.0),
        why_not="" if threads else "; ".join(dict.fromkeys(tried.why_not for tried in attempts)),
        command=found.command,
        threads=tuple(
            thread if thread.name else msgspec.structs.replace(thread, name=names.get(thread.tid, ""))
            for thread in threads
        ),
        samples=found.samples,
        blocking_calls=found.blocking_calls,
        connections=found.connections,
        listens=found.listens,
        flight=recording,
        log_tail=found.log_tail,
        versions=_versions(found, kernel),
        attempts=attempts,
        running_after=found.state_after in ("R", "S", "D") if found.state_after else None,
    )


def _stacks(rungs: Mapping[str, RungThere]) -> tuple[tuple[Attempt, ...], tuple[Thread, ...], str]:
    attempts: list[Attempt] = []
    python: tuple[Thread, ...] = ()
    native: tuple[Thread, ...] = ()
    answered: list[str] = []
    for name in ("py-spy", "unwind", "gdb"):
        if name not in rungs:
            continue
        rung = rungs[name]
        threads, why_not = _read(name, rung)
        attempts.append(Attempt(name, not why_not, round(rung.seconds, 3), round(rung.pause, 4), why_not))
        if threads and name == "py-spy":
            python = threads
        elif threads and not native:
            native = threads
        if threads:
            answered.append(name)
    return tuple(attempts), weave_threads(python, native) if native else python, "+".join(answered)


def _read(name: str, rung: RungThere) -> tuple[tuple[Thread, ...], str]:
    if rung.why_not:
        return (), explain(rung.why_not)
    try:
        if name == "py-spy":
            return pyspy.parse(rung.text.encode()), ""
        threads = tuple(thread_of(tid, frames) for tid, frames in rung.threads) or gdb.parse(rung.text)
        return threads, "" if threads else "saw no thread"
    except RungError as error:
        return (), str(error)


def _flight(found: ProcessThere) -> Flight | None:
    try:
        data = base64.b64decode(found.recorder, validate=True)
    except (binascii.Error, ValueError):
        return None
    if not data:
        return None
    with tempfile.NamedTemporaryFile(prefix="lastbatch-", suffix=".lbrec") as file:
        Path(file.name).write_bytes(data)
        try:
            return flight.to_flight(read(file.name), found.read_at)
        except (OSError, RecordingError):
            return None


def _versions(found: ProcessThere, kernel: str) -> Versions:
    python = next((match for path in found.mapped if (match := _PYTHON.search(path))), None)
    framework = next((match for name in found.frameworks if (match := _FRAMEWORK.match(name))), None)
    return Versions(
        python=(python[1] or python[2]) if python else "",
        framework=framework[1] if framework else "",
        framework_version=framework[2].rstrip(".") if framework else "",
        kernel=kernel,
    )
