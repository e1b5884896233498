"""Collects on this machine: the same program as elsewhere, in a process of its own with a deadline.

So a dead mount, a crash of libdw or Ctrl-C costs what that process was about to tell, and never the command.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import msgspec

from diagnostics.collector import scan
from diagnostics.errors import EvidenceError, MissingError
from diagnostics.model import Collection, Process, Record
from diagnostics.transport import program
from diagnostics.transport.answers import Answer, decode, process_of, with_stacks
from diagnostics.transport.options import Options, Target, asked_of
from diagnostics.transport.peers import name_peers
from diagnostics.transport.reach import Progress, events_of, silent
from diagnostics.version import release

SLACK = 30.0
"""Seconds that a collector may take beyond the gaps and budgets of its order."""
PATIENCE = 3.0
"""Seconds that it has to set everything running again when it is told to end."""


def collect(
    targets: Sequence[Target],
    options: Options = Options(),
    expected: Sequence[str] = (),
    progress: Progress = silent,
) -> Collection:
    """Observe, then take the stacks. `progress` is told in words what is being done.

    Args:
        targets: processes of this machine.
        expected: ranks that the job should have; the report says which of them are missing.
    """
    progress(f"sampling {len(targets)} processes {options.samples} times, {options.gap:.0f} s apart")
    began, wall = time.monotonic(), time.time()
    answer = _run(["observe", "stacks"], asked_of(targets), options, progress)
    processes = [with_stacks(process, answer) for process in _observed(targets, answer)]
    return _collection(processes, answer, began, wall, expected)


def observe(targets: Sequence[Target], options: Options = Options(), expected: Sequence[str] = ()) -> Collection:
    """Everything that can be seen without stopping anybody: samples, recorders, connections, logs, versions.

    Args: as for `collect`.
    """
    began, wall = time.monotonic(), time.time()
    answer = _run(["observe"], asked_of(targets), options)
    return _collection(_observed(targets, answer), answer, began, wall, expected)


def add_stacks(collection: Collection, options: Options = Options(), targets: Sequence[Target] = ()) -> Collection:
    """The collection with the stacks of all its processes, taken within the cores there are.

    `targets`, where they are given, tell where the recorders are: they are read once more after the stacks. A rank
    whose pause ended meanwhile did not hang.
    """
    began = time.monotonic()
    known = {target.pid: target for target in targets}
    asked = asked_of([known.get(process.pid) or Target(process.pid) for process in collection.processes])
    events = events_of(collection.processes)
    answer = _run(["stacks"], asked, options, events=events)
    return msgspec.structs.replace(
        collection,
        seconds=round(collection.seconds + time.monotonic() - began, 3),
        processes=tuple(with_stacks(process, answer) for process in collection.processes),
        skew=_skew(answer),
    )


class Here(Record, frozen=True):
    """The way to processes of this machine. `targets` tell where recorders and logs are that are not found there."""

    targets: tuple[Target, ...] = ()
    expected: tuple[str, ...] = ()

    def collect(self, options: Options, progress: Progress = silent) -> Collection:
        return collect(self.targets, options, self.expected, progress)

    def observe(self, options: Options) -> Collection:
        """All evidence for which nobody is stopped."""
        return observe(self.targets, options, self.expected)

    def add_stacks(self, collection: Collection, options: Options) -> Collection:
        """The collection that was observed, with the stacks of all its processes."""
        return add_stacks(collection, options, self.targets)

    def visit(
        self, do: Sequence[str], processes: Sequence[Process], options: Options, **more: Any
    ) -> dict[str, Answer]:
        host, known = socket.gethostname(), {target.pid: target for target in self.targets}
        # Of a process on another host this one knows the number alone, which may be somebody else's here.
        pids = [process.pid for process in processes if process.host == host and process.pid]
        asked = asked_of([known.get(pid) or Target(pid) for pid in pids])
        return {host: _run(do, asked, options, **more)} if asked else {}


def _observed(targets: Sequence[Target], answer: Answer) -> list[Process]:
    return [
        process_of(answer, target.pid, target.rank, answer.about.host or socket.gethostname(), target.address)
        for target in targets
    ]


def _collection(
    processes: Sequence[Process], answer: Answer, began: float, wall: float, expected: Sequence[str]
) -> Collection:
    return Collection(
        collected_at=wall,
        seconds=round(time.monotonic() - began, 3),
        processes=name_peers(processes),
        expected=tuple(expected),
        skew=_skew(answer),
        tool_version=release(),
        devices=answer.devices,
        kernel_log=answer.kernel_log,
        left_out=answer.left_out,
    )


def _skew(answer: Answer) -> float:
    times = [stacks.at for stacks in answer.stacks.values()]
    return round(max(times) - min(times), 3) if times else 0.0


def _run(
    do: Sequence[str],
    targets: Sequence[dict[str, Any]],
    options: Options,
    progress: Progress = silent,
    **more: Any,
) -> Answer:
    """What the collector said, up to where it was ended."""
    if not targets:
        return Answer()
    cores = os.cpu_count() or 1
    rounds = -(-len(targets) // cores) if "stacks" in do else 0
    deadline = options.gap * options.samples + options.budget * 3 * rounds + more.get("seconds", 0.0) + SLACK
    order = {**program.order(do, targets, options, deadline), **program.means_here(), **more}
    collector = _ahead.taken() or _started(program.argv_here())
    try:
        if _ahead.of_each and not _ahead.collector:
            _ahead.begin()
        output, errors = _talk(collector, json.dumps(order).encode(), deadline, progress)
    finally:
        _end(collector)
    try:
        return decode(output)
    except EvidenceError:
        words = errors.decode("utf-8", "replace").strip().splitlines()
        why = words[-1] if words else f"it ended with {collector.returncode}"
        raise EvidenceError(f"the collector failed: {why}", "Run lastbatch doctor") from None


class _Ahead(threading.local):
    """The collector that this thread has begun ahead of an order, if there is one. `of_each`: of every order."""

    collector: subprocess.Popen[bytes] | None = None
    of_each = False

    def taken(self) -> subprocess.Popen[bytes] | None:
        collector, self.collector = self.collector, None
        if collector:
            scan.helpers.discard(collector.pid)
        return collector

    def begin(self) -> None:
        with suppress(MissingError):  # said when it is needed
            self.collector = _started(program.argv_here())
            scan.helpers.add(self.collector.pid)

    def end(self) -> None:
        if collector := self.taken():
            _end(collector)


_ahead = _Ahead()


@contextmanager
def ready(each: bool = False) -> Iterator[None]:
    """A collector is begun ahead of the next order: it gets ready while the processes to look at are looked for.

    `each`: of every order; the next one gets ready while the one before it waits.
    """
    _ahead.of_each = each
    _ahead.begin()
    try:
        yield
    finally:
        _ahead.of_each = False
        _ahead.end()


def _started(argv: list[str]) -> subprocess.Popen[bytes]:
    """Raises: MissingError: this user may not start it, or there is no room for another process."""
    try:
        return subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
    except OSError as error:
        why = f"the collector cannot be started: {error.strerror}: {argv[0]}"
        raise MissingError(why, "Let this user run that interpreter, or look as root") from None


def _talk(collector: subprocess.Popen[bytes], order: bytes, deadline: float, progress: Progress) -> tuple[bytes, bytes]:
    assert collector.stdin and collector.stdout and collector.stderr
    errors: list[bytes] = []
    listener = threading.Thread(target=lambda: errors.append(collector.stderr.read()), daemon=True)  # type: ignore[union-attr]
    listener.start()
    timer = threading.Timer(deadline, lambda: _end(collector))
    timer.daemon = True
    timer.start()
    lines = []
    try:
        with suppress(BrokenPipeError):
            collector.stdin.write(order)
            collector.stdin.close()
        for line in collector.stdout:
            lines.append(line)
            if line.startswith(b'{"evidence"') and b"stacks" in order:
                progress("taking the stacks")
        collector.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        pass
    finally:
        timer.cancel()
    listener.join(1.0)
    return b"".join(lines), b"".join(errors)


def _end(collector: subprocess.Popen[bytes]) -> None:
    """Told to end it lets go of whatever it holds; one that waits for a dead file system is killed with its tools."""
    if collector.poll() is None:
        collector.terminate()
        with suppress(subprocess.TimeoutExpired):
            collector.wait(PATIENCE)
    if collector.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(collector.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            collector.wait(1.0)
