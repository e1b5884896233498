"""Threads of eu-stack of elfutils."""

from __future__ import annotations

import re

from diagnostics.model import Frame, Thread
from diagnostics.stacks.demangle import native_frame

_THREAD = re.compile(r"^TID (\d+):$")
_FRAME = re.compile(r"^#\d+ +0x[0-9a-f]+(?: - \d+)?(?: (?!- )(.*?))?(?: - ([/\[].*))?$")


def parse(output: str) -> tuple[Thread, ...]:
    """Threads of `eu-stack -m -p PID`, frames turned to outermost first."""
    found: dict[int, list[Frame]] = {}
    frames: list[Frame] = []
    for line in output.splitlines():
        if tid := thread_of(line):
            frames = found.setdefault(tid, [])
        elif frame := frame_of(line):
            frames.append(frame)
    return tuple(Thread(tid, "", tuple(reversed(frames))) for tid, frames in sorted(found.items()) if frames)


def thread_of(line: str) -> int:
    """The thread id of a line that begins a thread, 0 for any other line."""
    match = _THREAD.match(line)
    return int(match[1]) if match else 0


def frame_of(line: str) -> Frame | None:
    match = _FRAME.match(line)
    return native_frame(match[1] or "???", match[2] or "") if match else None
