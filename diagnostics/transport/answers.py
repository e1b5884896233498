"""What a collector said, decoded strictly and turned into the model. Nothing of it is trusted. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from diagnostics.errors import EvidenceError
from diagnostics.model import (
    Attempt,
    Device,
    Flight,
    Frame,
    KernelLine,
    Observed,
    Process,
    Thread,
)
from diagnostics.model.rank import process as unnamed
from diagnostics.stacks.demangle import native_frame
from diagnostics.stacks.merge import merge_threads
from diagnostics.stacks.tools import Unreadable, eustack, gdb, pyspy
from diagnostics.transport import shell_answers
from diagnostics.transport.lines import (
    About,
    AskedThere,
    EvidenceThere,
    LaterThere,
    Line,
    OutputThere,
    StacksThere,
    Told,
)

_TEXTS = {"gdb": gdb.parse, "eu-stack": eustack.parse}
MAX_LINES = 1_000_000


class Answer(msgspec.Struct):
    """All that a collector said. Not `done`: it was cut short."""

    about: About = msgspec.field(default_factory=lambda: About(""))
    seen: tuple[Told, ...] = ()
    evidence: dict[int, EvidenceThere] = {}
    stacks: dict[int, StacksThere] = {}
    later: dict[int, LaterThere] = {}
    asked: tuple[AskedThere, ...] = ()
    devices: tuple[Device, ...] = ()
    kernel_log: tuple[KernelLine, ...] = ()
    left_out: tuple[str, ...] = ()
    done: bool = False


def decode(output: bytes) -> Answer:
    """A login may print words of its own before the answer; a line that was cut off is left out.

    Raises:
        EvidenceError: it is something else.
    """
    if shell_answers.MARK in output[:4096]:
        return gathered(shell_answers.parse(output.decode("utf-8", "replace")))
    lines, why = [], "it said nothing"
    for number, text in enumerate(output.splitlines()):
        if number > MAX_LINES or not text.startswith(b"{"):
            continue
        try:
            lines.append(msgspec.json.decode(text, type=Line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            why = str(error)
    if not lines or lines[0].about is None:
        raise EvidenceError(f"the host answered with something else than evidence: {why}") from None
    try:
        return gathered(lines)
    except msgspec.ValidationError as error:
        raise EvidenceError(f"the host answered with something else than evidence: {error}") from None


def gathered(lines: Iterable[Line]) -> Answer:
    answer = Answer()
    for line in lines:
        answer.about = line.about or answer.about
        answer.seen = line.seen or answer.seen
        answer.done = answer.done or line.done
        if line.evidence:
            answer.evidence[line.evidence.pid] = line.evidence
        if line.beside:
            host = answer.about.host
            answer.devices = tuple(msgspec.convert({**one, "host": host}, Device) for one in line.beside.devices)
            answer.kernel_log = tuple(KernelLine(host, text) for text in line.beside.kernel_log)
            answer.left_out = line.beside.left_out
        if line.stacks:
            answer.stacks[line.stacks.pid] = line.stacks
        if line.asked:
            answer.asked += (line.asked,)
        if line.later:
            answer.later[line.later.pid] = line.later
    return answer


def process_of(answer: Answer, pid: int, rank: str, host: str, address: str = "") -> Process:
    """What the sources saw of one process, and its stacks where there are some.

    `address`: where it serves, if that is known beforehand.
    """
    if (found := answer.evidence.get(pid)) is None:
        return Process(rank or str(unnamed(pid)), pid, host, why_not="nothing was told of it before the deadline")
    seen = {name: getattr(found, name) for name in Observed.__struct_fields__}
    process = Process(
        rank=rank or (found.flight.rank if found.flight else "") or str(unnamed(pid)),
        pid=pid,
        host=host,
        **seen,
    )
    if address and not found.listens:
        process = msgspec.structs.replace(process, listens=(address,))
    return process


def with_stacks(process: Process, answer: Answer) -> Process:
    """The process with what its stack collectors and its recorder gave after the samples."""
    if found := answer.stacks.get(process.pid):
        attempts, threads, names = _stacks(found)
        known = {sample.tid: sample.name for sample in process.samples[-1].threads} if process.samples else {}
        process = msgspec.structs.replace(
            process,
            stacks_from=names,
            pause=max((tried.pause for tried in attempts), default=0.0),
            why_not="" if threads else "; ".join(dict.fromkeys(tried.why_not for tried in attempts)),
            threads=tuple(
                thread if thread.name else msgspec.structs.replace(thread, name=known.get(thread.tid, ""))
                for thread in threads
            ),
            attempts=attempts,
            running_after=found.state_after in ("R", "S", "D") if found.state_after else None,
        )
    later = answer.later.get(process.pid)
    return with_flight(process, later.flight) if later and later.flight else process


def with_flight(process: Process, newest: Flight) -> Process:
    """With its recorder as it is by now, where it has gone on after samples between which it said nothing."""
    if process.flight and newest.count > process.flight.count and not _has_recorded(process):
        return msgspec.structs.replace(process, flight=newest)
    return process


def _has_recorded(process: Process) -> bool:
    """Whether its recorder went on between the samples."""
    return len(process.samples) > 1 and process.samples[-1].events > process.samples[0].events


def _stacks(found: StacksThere) -> tuple[tuple[Attempt, ...], tuple[Thread, ...], str]:
    """Attempts, threads, and the stack collectors that these come from."""
    attempts, read = [], dict[str, tuple[Thread, ...]]()
    for tried in found.attempts:
        if tried.ok:
            try:
                read[tried.collector] = _threads(tried.collector, found.outputs.get(tried.collector, OutputThere()))
            except Unreadable as error:
                tried = msgspec.structs.replace(tried, ok=False, why_not=str(error))
        attempts.append(tried)
    read = {name: threads for name, threads in read.items() if threads}
    python = read.get("py-spy", ())
    if whole := read.get("pystack"):
        names = {thread.tid: thread.name for thread in python if thread.name}
        named = [msgspec.structs.replace(one, name=names.get(one.tid) or one.name) for one in whole]
        return tuple(attempts), tuple(named), "pystack"
    native = next((threads for name, threads in read.items() if name not in ("py-spy", "kernel")), ())
    threads = merge_threads(python, native) if native else python
    return tuple(attempts), _below(threads, read.get("kernel", ())), "+".join(read)


def _below(threads: tuple[Thread, ...], kernel: tuple[Thread, ...]) -> tuple[Thread, ...]:
    """Every thread, with the kernel's frames innermost."""
    own = {thread.tid: thread for thread in threads}
    for deep in kernel:
        above = own.get(deep.tid, Thread(deep.tid))
        own[deep.tid] = msgspec.structs.replace(above, frames=above.frames + deep.frames)
    return tuple(own[tid] for tid in sorted(own))


def _threads(collector: str, output: OutputThere) -> tuple[Thread, ...]:
    """Raises: Unreadable: it is something else."""
    if output.threads is not None:
        return tuple(
            Thread(tid, name, tuple(_frame(*frame) for frame in frames), holds_gil)
            for tid, name, holds_gil, frames in output.threads
        )
    threads = (
        pyspy.parse(output.text.encode()) if collector == "py-spy" else _TEXTS.get(collector, gdb.parse)(output.text)
    )
    if not threads:
        raise Unreadable(f"{collector} saw no thread")
    return threads


def _frame(function: str, file: str, line: int, native: bool) -> Frame:
    return native_frame(function, file, line) if native else Frame(function, file, max(line, 0))
