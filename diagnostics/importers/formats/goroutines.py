"""Go: what its runtime writes of all goroutines on SIGQUIT or a panic, and `debug/pprof/goroutine?debug=2`."""

from __future__ import annotations

import itertools
import re

from diagnostics.importers.formats.grammar import Grammar, ThreadHead
from diagnostics.model import Frame
from diagnostics.stacks.demangle import native_frame

_THREAD = re.compile(r"\s*goroutine (\d+)(?: gp=\S+ m=\S+(?: mp=\S+)?)? \[([^\]]+)\]:$")
_CALL = re.compile(
    r"\s*(?:created by )?([\w/.*()\[\]$·~-]{1,500}?)(?:\([^()]*\)|\(\{.*\}.*\))?(?: in goroutine \d+)?$"
)
_PLACE = re.compile(r"\s+(\S+\.(?:go|s|S)):(\d+)(?: \+0x[0-9a-f]+)?(?: fp=.*)?$")
_JOINED = re.compile(r"\s*go: (\S+) at (\S+):(\d+)$")


def prepare(lines: list[str]) -> list[str]:
    """A call and its place are two lines: one is made of them."""
    made: list[str] = []
    skip = False
    for line, following in itertools.pairwise([*lines, ""]):
        if skip:
            skip = False
        elif (place := _PLACE.match(following)) and (call := _CALL.match(line)):
            skip = True
            if not line.lstrip().startswith("created by "):
                made.append(f"go: {call[1]} at {place[1]}:{place[2]}")
        else:
            made.append(line)
    return made


def _thread(line: str) -> ThreadHead | None:
    """A goroutine is no thread of the system: its number is an address of its own kind."""
    match = _THREAD.match(line)
    return ThreadHead(name=f"goroutine {match[1]}, {match[2]}", pthread=int(match[1])) if match else None


def _frame(line: str) -> Frame | None:
    match = _JOINED.match(line)
    return native_frame(match[1], match[2], int(match[3])) if match else None


GRAMMAR = Grammar("goroutines", _thread, _frame, native=True, headless=False, prepare=prepare)
