"""Rung: py-spy. Python frames of every Python thread. Stops the target only if it does not stand still by itself."""

from __future__ import annotations

import os
import shutil
import sysconfig
import time

import msgspec

from diagnostics.collector import namespaces
from diagnostics.collector.stacks.base import Reading, Rung, RungError, run_tool
from diagnostics.collector.stacks.pthreads import tid_of
from diagnostics.model import Frame, Thread

LONGEST_STOP = 2.0
"""Seconds that a target may stand for Python's frames: on a busy machine py-spy may lose its turn while it does."""


class _SpyFrame(msgspec.Struct):
    name: str
    filename: str
    line: int


class _SpyThread(msgspec.Struct):
    thread_id: int
    os_thread_id: int | None
    thread_name: str | None
    owns_gil: bool
    frames: list[_SpyFrame]


def tool() -> str:
    beside = os.path.join(sysconfig.get_path("scripts"), "py-spy")
    return beside if os.path.exists(beside) else shutil.which("py-spy") or "py-spy"


def parse(output: bytes) -> tuple[Thread, ...]:
    """Threads of `py-spy dump --json`, frames turned to outermost first.

    Where py-spy knows no id of the kernel's, `tid` is the address by which libpthread knows the thread.
    """
    try:
        threads = msgspec.json.decode(output, type=list[_SpyThread])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RungError("answered with something else than threads") from None
    return tuple(
        Thread(
            tid=thread.os_thread_id or thread.thread_id,
            name=thread.thread_name or "",
            frames=tuple(Frame(frame.name, frame.filename, max(frame.line, 0)) for frame in reversed(thread.frames)),
            holds_gil=thread.owns_gil,
        )
        for thread in threads
    )


def read(pid: int, budget: float) -> Reading:
    """Without stopping it, where two looks find the same: then it stood still by itself. Else while it is stopped."""
    deadline = time.monotonic() + budget
    first = None
    try:
        first = read_without_stopping(pid, budget)
        if first.threads == read_without_stopping(pid, deadline - time.monotonic()).threads:
            return first
    except RungError:
        pass  # a running process may look torn
    try:
        return Reading(_ask(pid, min(max(deadline - time.monotonic(), 0.1), LONGEST_STOP)))
    except RungError:
        if first is None:
            raise
        return Reading(first.threads)  # rather a look that may be torn than a job that stands; it may have stood by now


def read_without_stopping(pid: int, budget: float) -> Reading:
    """The process's memory as it is at the moment; true only of what stands still."""
    return Reading(_ask(pid, budget, "--nonblocking"), 0.0)


def _ask(pid: int, budget: float, *options: str) -> tuple[Thread, ...]:
    threads = parse(run_tool([tool(), "dump", "--json", "--pid", str(pid), *options], budget))
    try:
        outer = namespaces.inner_ids(pid)  # the interpreter knows its threads by the container's numbers
    except OSError:
        raise RungError("ended while it was looked at") from None
    tasks = set(outer.values())

    def outer_id(tid: int) -> int:
        inner = tid if tid in outer or tid in tasks else tid_of(pid, tid, outer)
        return inner if inner in tasks else outer.get(inner, inner)

    return tuple(msgspec.structs.replace(thread, tid=outer_id(thread.tid)) for thread in threads)


RUNG = Rung("py-spy", read, native=False, gentle=read_without_stopping)
