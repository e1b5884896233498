"""WinDbg and cdb: `~*k`, `k`, `kn`, `!uniqstack`, and call stacks of which only `module!function+0x12` was copied."""

from __future__ import annotations

import re

from diagnostics.importers.formats.grammar import Grammar, ThreadHead
from diagnostics.model import Frame
from diagnostics.stacks.demangle import native_frame

_THREAD = re.compile(r"\s*[.#]? *\d+ +Id: [0-9a-f]+\.([0-9a-f]+) Suspend: ")
_NUMBERS = r"(?:[0-9a-f]{2,3} +)?(?:[0-9a-f]{8}`?[0-9a-f]{8} +|[0-9a-f]{8} +){0,2}(?::(?: [0-9a-f`]+)+ : )?"
_FRAME = re.compile(
    rf"\s*{_NUMBERS}([A-Za-z_][\w.-]*)!([A-Za-z_?<`~].*?)(?:\+0x[0-9a-f]+)?(?: \[([^\]@]+?)(?: @ (\d+))?\])?$"
)


def _thread(line: str) -> ThreadHead | None:
    match = _THREAD.match(line)
    return ThreadHead(int(match[1], 16)) if match else None


def _frame(line: str) -> Frame | None:
    match = _FRAME.match(line)
    return native_frame(match[2], match[3] or match[1], int(match[4] or 0)) if match else None


GRAMMAR = Grammar("windbg", _thread, _frame, native=True, by_blocks=True)
