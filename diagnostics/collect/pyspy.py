"""Rung: py-spy. Python frames of every Python thread; stops the target for some milliseconds."""

from __future__ import annotations

import os
import shutil
import sysconfig

import msgspec

from diagnostics.collect.rungs import Rung, RungError, run_tool
from diagnostics.model import Frame, Thread


class _SpyFrame(msgspec.Struct):
    name: str
    filename: str
    line: int


class _SpyThread(msgspec.Struct):
    os_thread_id: int | None
    thread_name: str | None
    owns_gil: bool
    frames: list[_SpyFrame]


def _tool() -> str:
    beside = os.path.join(sysconfig.get_path("scripts"), "py-spy")
    return beside if os.path.exists(beside) else shutil.which("py-spy") or "py-spy"


def parse(output: bytes) -> tuple[Thread, ...]:
    """Threads of `py-spy dump --json`, frames turned to outermost first."""
    try:
        threads = msgspec.json.decode(output, type=list[_SpyThread])
    except msgspec.DecodeError:
        raise RungError("answered with something else than threads") from None
    return tuple(
        Thread(
            tid=thread.os_thread_id or 0,
            name=thread.thread_name or "",
            frames=tuple(Frame(frame.name, frame.filename, max(frame.line, 0)) for frame in reversed(thread.frames)),
            holds_gil=thread.owns_gil,
        )
        for thread in threads
    )


def read(pid: int, budget: float) -> tuple[Thread, ...]:
    return parse(run_tool([_tool(), "dump", "--json", "--pid", str(pid)], budget))


def read_without_stopping(pid: int, budget: float) -> tuple[Thread, ...]:
    """For a process that stands still anyway: its memory is read as it is."""
    return parse(run_tool([_tool(), "dump", "--json", "--nonblocking", "--pid", str(pid)], budget))


RUNG = Rung("py-spy", read, native=False, gentle=read_without_stopping)
