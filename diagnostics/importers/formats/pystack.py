"""`pystack remote` and `pystack core`."""

from __future__ import annotations

import re

from diagnostics.importers.formats.grammar import Grammar, ThreadHead
from diagnostics.model import Frame
from diagnostics.stacks.demangle import native_frame

_THREAD = re.compile(r"\s*Traceback for thread (\d+)(?: \((.*?)\))? (?:\[(.*?)\] )?\(most recent call last\):$")
_EMPTY = re.compile(r"\s*The frame stack for thread (\d+) is empty")
_FRAME = re.compile(r'\s*\((Python|C)\) File "(.*?)", line (\d+), in (.*)$')
_LIBRARY = re.compile(r"(?: \(inlined\))? \(([^()]+)\)$")


def _thread(line: str) -> ThreadHead | None:
    if empty := _EMPTY.match(line):
        return ThreadHead(int(empty[1]))
    match = _THREAD.match(line)
    return ThreadHead(int(match[1]), match[2] or "", holds_gil="Has the GIL" in (match[3] or "")) if match else None


def _frame(line: str) -> Frame | None:
    match = _FRAME.match(line)
    if match is None:
        return None
    if match[1] == "Python":
        return Frame(match[4], match[2], int(match[3]))
    library = _LIBRARY.search(match[4])
    return native_frame(
        match[4][: library.start()] if library else match[4], library[1] if library else "", int(match[3])
    )


GRAMMAR = Grammar("pystack", _thread, _frame, innermost_first=False)
