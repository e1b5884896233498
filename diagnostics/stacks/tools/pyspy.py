"""Threads of `py-spy dump --json`."""

from __future__ import annotations

import msgspec

from diagnostics.model import Frame, Thread
from diagnostics.stacks.tools import Unreadable


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


def parse(output: bytes) -> tuple[Thread, ...]:
    """Threads of `py-spy dump --json`, frames turned to outermost first.

    Where py-spy knows no id of the kernel's, `tid` is the address by which libpthread knows the thread.
    """
    try:
        threads = msgspec.json.decode(output, type=list[_SpyThread])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unreadable("answered with something else than threads") from None
    return tuple(
        Thread(
            tid=thread.os_thread_id or thread.thread_id,
            name=thread.thread_name or "",
            frames=tuple(Frame(frame.name, frame.filename, max(frame.line, 0)) for frame in reversed(thread.frames)),
            holds_gil=thread.owns_gil,
        )
        for thread in threads
    )
