"""eu-stack, also of a program without threads, where it writes no line for the thread."""

from __future__ import annotations

import re

from diagnostics.importers.formats.grammar import Grammar, ProcessHead, ThreadHead
from diagnostics.model import Frame
from diagnostics.stacks.tools import eustack

_PROCESS = re.compile(r"\s*PID (\d+) - (?:process|core)$")
_BUILD = re.compile(r" - \[[0-9a-f]{8,}\].*$|(?<!\s)\s+\(build id.*$")


def _process(line: str) -> ProcessHead | None:
    match = _PROCESS.match(line)
    return ProcessHead(int(match[1])) if match else None


def _thread(line: str) -> ThreadHead | None:
    tid = eustack.thread_of(line.strip())
    return ThreadHead(tid) if tid else None


def _frame(line: str) -> Frame | None:
    line = _BUILD.sub("", line.strip())
    return None if " in " in line[:40] else eustack.frame_of(line)


GRAMMAR = Grammar("eu-stack", _thread, _frame, _process, native=True)
