"""CPython's faulthandler: `dump_traceback`, `dump_traceback_later`, a fatal error; also without any head."""

from __future__ import annotations

import re

from diagnostics.importers.formats.grammar import Grammar, ThreadHead
from diagnostics.model import Frame

_THREAD = re.compile(
    r"\s*(?:(Current thread|Thread) (?:'(.*?)' )?(0x[0-9a-f]+)(?: \[(.*?)\])?|Stack|Current thread's .*traceback)"
    r" \(most recent call first\):$"
)
_FRAME = re.compile(r'\s*File "(.*?)", line (\d+|\?\?\?) in (.+)$')


def _thread(line: str) -> ThreadHead | None:
    match = _THREAD.match(line)
    return ThreadHead(name=match[2] or match[4] or "", pthread=int(match[3] or "0", 16)) if match else None


def _frame(line: str) -> Frame | None:
    match = _FRAME.match(line)
    return Frame(match[3], match[1], int(match[2]) if match[2].isdecimal() else 0) if match else None


GRAMMAR = Grammar("faulthandler", _thread, _frame)
