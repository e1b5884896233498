"""Threads of gdb's `thread apply all bt`."""

from __future__ import annotations

import re
from typing import NamedTuple

from diagnostics.model import Frame, Thread
from diagnostics.stacks.demangle import native_frame

_THREAD = re.compile(r"^Thread \d+ \((?:Thread (0x[0-9a-f]+) \(LWP (\d+)\)|LWP (\d+)|process (\d+))")
_NAME = re.compile(r'"([^"]*)"\)?:?$')
_FRAME = re.compile(r"^#\d+ +(?:0x[0-9a-f]+ in )?(.*)$")
_REMARK = re.compile(r"(?<! ) {2,}(?:<[-=]+|[-=]*>|\u2190|\u2192|\u21d0|#|//).*$")
"""What a person wrote beside a frame."""
_AT = re.compile(r" (?:at ([^\s]+):(\d+)|from ([^\s]+))$")


def parse(output: str) -> tuple[Thread, ...]:
    """Threads of `thread apply all bt`, frames turned to outermost first."""
    found: dict[int, tuple[str, list[Frame]]] = {}
    frames: list[Frame] | None = None
    for line in output.splitlines():
        if header := thread_of(line):
            frames = []
            found[header.tid] = header.name, frames
        elif frames is not None and (frame := frame_of(line)):
            frames.append(frame)
    return tuple(Thread(tid, name, tuple(reversed(frames))) for tid, (name, frames) in sorted(found.items()) if frames)


class Header(NamedTuple):
    """A line that begins a thread. `pthread` is the address by which libpthread knows it, 0 where gdb does not."""

    tid: int
    name: str
    pthread: int


def thread_of(line: str) -> Header | None:
    match = _THREAD.match(line)
    if match is None:
        return None
    name = _NAME.search(line)
    return Header(int(match[2] or match[3] or match[4]), name[1] if name else "", int(match[1] or "0", 16))


def frame_of(line: str) -> Frame | None:
    match = _FRAME.match(line)
    return _frame(match[1]) if match else None


def _frame(text: str) -> Frame:
    text = _REMARK.sub("", text)
    where = _AT.search(text)
    symbol = (text[: where.start()] if where else text).strip()
    # gdb writes `function (arguments)`, with a space that C++ names do not have before their brackets.
    if symbol.endswith(")") and " (" in symbol:
        symbol = symbol[: _opening(symbol)].rstrip()
    file = (where[1] or where[3]) if where else ""
    return native_frame(symbol, file, int(where[2]) if where and where[2] else 0)


def _opening(symbol: str) -> int:
    """Index of the bracket that the last one closes."""
    depth = 0
    for index in range(len(symbol) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(symbol[index], 0)
        if depth == 0:
            return index
    return len(symbol)
