"""Tables of parallel debuggers (DDT, STAT): `processes,threads,function`, callers above what they call."""

from __future__ import annotations

import re

from diagnostics.importers.formats.grammar import Grammar, ThreadHead
from diagnostics.model import Frame
from diagnostics.stacks.demangle import native_frame

_HEAD = re.compile(r"Processes,(?:Threads,)?Function\s*$", re.I)
_ROW = re.compile(r"(\d+),(?:(\d+),)?( *)(\S.*?)(?: \((\S+):(\d+)\))?$")
_STACK = "calls of "
_FRAME = re.compile(rf"  {_STACK}(\S.*?)(?: \((\S+):(\d+)\))?$")


def prepare(lines: list[str]) -> list[str]:
    """With a head before each call that lies in no other."""
    if not any(map(_HEAD.match, lines)):
        return lines
    made: list[str] = []
    within = False
    for line in lines:
        row = _ROW.match(line) if within else None
        within = within or bool(_HEAD.match(line))
        if row is None:
            made.append(line)
            continue
        if not row[3]:
            made.append(f"stack of {row[1]} processes:")
        place = f" ({row[5]}:{row[6]})" if row[5] else ""
        made.append(f"  {_STACK}{row[4]}{place}")
    return made


def _thread(line: str) -> ThreadHead | None:
    match = re.match(r"stack of (\d+) processes:$", line)
    return ThreadHead(name=f"of {match[1]} processes") if match else None


def _frame(line: str) -> Frame | None:
    match = _FRAME.match(line)
    return native_frame(match[1], match[2] or "", int(match[3] or 0)) if match else None


GRAMMAR = Grammar(
    "call table", _thread, _frame, innermost_first=False, native=True, headless=False, prepare=prepare
)
