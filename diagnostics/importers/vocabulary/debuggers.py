"""What a person asks a debugger for: who owns a mutex (`print mutex`, `p *(pthread_mutex_t *) 0x...`), `py-bt`.

Wordings: gdb's; `Tools/gdb/libpython.py` of CPython 2.7 to 3.14.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from diagnostics.importers.vocabulary.base import Block, Said, fact, row
from diagnostics.model import FactKind

ROWS = (
    row(
        FactKind.STUCK, "waiting for the gil",
        r"^\s*(?:#\d+ )?Waiting for the GIL$", "the thread waits for the interpreter lock, as gdb saw it",
    ),
    row(
        FactKind.STUCK, "garbage-collecting",
        r"^\s*(?:#\d+ )?Garbage-collecting$", "the thread collects garbage, as gdb saw it",
    ),
)  # fmt: skip

_ASKED = re.compile(r"(?:\(gdb\)|\(lldb\))? ?(?:p|print|p/x|ptype|po)\s+(\S.{0,200})$")
_OWNER = re.compile(r"__owner = (\d+)")


class Mutex(Block):
    """`__owner = 4712` belongs to the last thing that was printed."""

    def __init__(self) -> None:
        self._asked = ""

    def feed(self, line: str) -> Iterable[Said]:
        if asked := _ASKED.match(line.strip()):
            self._asked = asked[1].strip()
        if owner := _OWNER.search(line):
            what = self._asked or "a mutex"
            holder = f"thread {owner[1]} holds {what}" if owner[1] != "0" else f"nobody holds {what}"
            yield Said("", fact(FactKind.LOCK, holder, line, owner=owner[1], lock=self._asked))


BLOCKS = (Mutex,)
