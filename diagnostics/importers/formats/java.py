"""Java: `jstack`, `kill -QUIT`, the traces of uncaught exceptions."""

from __future__ import annotations

import re

from diagnostics.importers.formats.grammar import Grammar, ThreadHead
from diagnostics.model import Frame
from diagnostics.stacks.demangle import native_frame

_THREAD = re.compile(r'\s*"(.{1,200}?)"(?= #\d| \[\d| daemon| (?:os_)?prio=).* nid=(0x[0-9a-f]+|\d+)\b')
_FRAME = re.compile(r"\s*at ((?:[\w.-]+(?:@[\w.-]+)?/+)*[\w$.]+\.[\w$<>]+)\(([^():]+)(?::(\d+))?\)$")


def _thread(line: str) -> ThreadHead | None:
    match = _THREAD.match(line)
    return ThreadHead(int(match[2], 0), match[1], main=match[1] == "main") if match else None


def _frame(line: str) -> Frame | None:
    match = _FRAME.match(line)
    return native_frame(match[1].rpartition("/")[2], match[2], int(match[3] or 0)) if match else None


GRAMMAR = Grammar("jstack", _thread, _frame, native=True, headless=False)
