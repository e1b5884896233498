"""What the Java virtual machine itself found: a circle of threads that wait for each other's monitors.

Wordings: HotSpot's `runtime/threadService.cpp` (`DeadlockCycle::print_on_with`), the serviceability agent's, and those
of `ThreadMXBean` as programs print them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from diagnostics.importers.vocabulary.base import Block, Said, fact
from diagnostics.model import FactKind

_FOUND = re.compile(r"\s*Found (?:one|a total of \d+) Java-level deadlock", re.I)
_THREAD = re.compile(r'\s*"(.{1,200})":$')
_WANTS = re.compile(r"\s*waiting (?:to lock (?:monitor )?|for ownable synchronizer )\S+ \(?(?:object|a|.*, a) ?.*$", re.I)
_OBJECT = re.compile(r", a ([\w./$]+)\)")
_HOLDER = re.compile(r'\s*(?:in JNI, )?which is held by "(.{1,200})"$')
_MOST = 100


class Deadlock(Block):
    """The threads of the circle, each with what it wants, up to where the text ends."""

    def __init__(self) -> None:
        self._line = ""  # that begins it; "" outside of one
        self._waits: dict[str, str] = {}
        self._held: dict[str, str] = {}
        self._at = ""

    def feed(self, line: str) -> Iterable[Said]:
        if _FOUND.match(line):
            yield from self.finish()
            self._line, self._waits, self._held, self._at = line.strip(), {}, {}, ""
        elif line.strip().startswith("Java stack information"):
            yield from self.finish()
        elif self._line and len(self._waits) < _MOST:
            self._read(line)

    def _read(self, line: str) -> None:
        if thread := _THREAD.match(line):
            self._at = thread[1]
        elif self._at and _WANTS.match(line):
            wanted = _OBJECT.search(line)
            self._waits[self._at] = wanted[1] if wanted else "a lock"
        elif self._at and (holder := _HOLDER.match(line)):
            self._held[self._at] = holder[1]

    def finish(self) -> Iterable[Said]:
        if self._line:
            parts = [f"{name} wants {what}" + self._by(name) for name, what in self._waits.items()]
            words = "the virtual machine found threads that wait for each other's locks: " + "; ".join(parts)
            if parts:
                yield Said("", fact(FactKind.STUCK, words, self._line, circle=", ".join(self._waits)))
        self._line = ""

    def _by(self, name: str) -> str:
        return f", which {self._held[name]} holds" if name in self._held else ""


BLOCKS = (Deadlock,)
