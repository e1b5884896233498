"""`py-bt` and `py-bt-full` of CPython's gdb extension: Python's view of the thread that gdb is at."""

from __future__ import annotations

import re

from diagnostics.importers.formats.grammar import Grammar, ThreadHead
from diagnostics.model import Frame

_THREAD = re.compile(r"\s*T?raceback \(most recent call first\):$")  # a selection with the mouse loses a letter
_FRAME = re.compile(r'\s*File "(.*?)", line (\d+), in (.+)$')
_FULL = re.compile(r"\s*#\d+ +(?:\S.* )?Frame 0x[0-9a-f]+, for file (.*?), line (\d+), in (\w+)")
_GIL = re.compile(r"\s*(?:#\d+ )?Waiting for the GIL$")
_BUILT_IN = re.compile(r"\s*<built-in method \w+ of .*>$")  # stands among its frames, and in no other tool's
_HEAD = "Traceback (most recent call first):"


def prepare(lines: list[str]) -> list[str]:
    """With a head where the paste begins below it: the order of the frames is not Python's own."""
    for index, line in enumerate(lines):
        if _THREAD.match(line) or line.strip().startswith(("py-bt", "(gdb)")):
            return lines
        if _GIL.match(line) or _BUILT_IN.match(line):
            above = [at for at, said in enumerate(lines[:index]) if _FRAME.match(said)]
            if any(said.rstrip().endswith("last):") for said in lines[:index]):
                return lines
            return [*lines[: min(above, default=index)], _HEAD, *lines[min(above, default=index) :]]
    return lines


def _thread(line: str) -> ThreadHead | None:
    return ThreadHead(current=True) if _THREAD.match(line) or line.strip() == "py-bt-full" else None


def _frame(line: str) -> Frame | None:
    if _GIL.match(line):
        return Frame("take_gil", "libpython", native=True)  # stands for the frame in which the extension saw it
    match = _FULL.match(line) or _FRAME.match(line)
    return Frame(match[3], match[1], int(match[2])) if match else None


GRAMMAR = Grammar("py-bt", _thread, _frame, headless=False, prepare=prepare, rank=4)
