"""lldb: `thread backtrace all`, `bt all`."""

from __future__ import annotations

import re

from diagnostics.importers.formats.grammar import Grammar, ThreadHead
from diagnostics.model import Frame
from diagnostics.stacks.demangle import native_frame

_THREAD = re.compile(r"\s*\*? ?thread #(\d+)(?:: tid = (0x[0-9a-f]+|\d+))?(?:, name = '(.*?)')?(?:, .*)?$")
_FRAME = re.compile(r"\s*\*? ?frame #\d+: 0x[0-9a-f]+ ([^`]+)`(.+?)(?: at (\S+?):(\d+)(?::\d+)?)?$")
_OFFSET = re.compile(r" \+ \d+(?: \[inlined\])?$| \[inlined\].*$")


def _thread(line: str) -> ThreadHead | None:
    match = _THREAD.match(line)
    if match is None:
        return None
    return ThreadHead(int(match[2] or "0", 0), match[3] or "", main=match[1] == "1")


def _frame(line: str) -> Frame | None:
    match = _FRAME.match(line)
    if match is None:
        return None
    return native_frame(_OFFSET.sub("", match[2]), match[3] or match[1], int(match[4] or 0))


GRAMMAR = Grammar("lldb", _thread, _frame, native=True)
