"""`Stack trace of the failed collective:` of PyTorch's watchdog: from where the collective was called, not a thread."""

from __future__ import annotations

import re

from diagnostics.importers.formats.grammar import Grammar, ThreadHead
from diagnostics.model import Frame

TOOL = "failed collective"
_THREAD = re.compile(r"(?:.*\] ?)?\s*Stack trace of the failed collective:\s*$")
_FRAME = re.compile(r"\s*#\d+ (\S+) from (.+):(\d+)$")


def _thread(line: str) -> ThreadHead | None:
    return ThreadHead() if _THREAD.match(line) else None


def _frame(line: str) -> Frame | None:
    match = _FRAME.match(line)
    return Frame(match[1], match[2], int(match[3])) if match else None


GRAMMAR = Grammar(TOOL, _thread, _frame, headless=False)
