"""Tracebacks of Python that may be interleaved: which frame is whose, and what each ended with. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from diagnostics.importers.formats.traceback import error_of, waited
from diagnostics.importers.vocabulary.base import LONGEST, fact
from diagnostics.model import FactKind, Frame, LogFact
from diagnostics.stacks.stand import stand_of

MOST_ALIVE = 16
_CALLED = re.compile(r"(\w+)\s*\(")
_CHAINED = ("During handling of the above exception", "The above exception was the direct cause")


class Ended(NamedTuple):
    """A traceback with the error below it. `waited`: the error ended a wait."""

    opened: list[Frame]
    waited: bool
    fact: LogFact


@dataclass
class _Stream:
    frames: list[Frame]
    source: list[str] = field(default_factory=list)  # lines of the program below its last frame

    def calls(self, function: str) -> bool:
        return any(name == function for line in self.source for name in _CALLED.findall(line))

    @property
    def unclear(self) -> bool:
        """Whether what it called last is not told: no line of the program, or only the end of a long call."""
        return not any(_CALLED.search(line) for line in self.source)


class Tracebacks:
    """Those that have begun and have not ended."""

    def __init__(self) -> None:
        self._alive: list[_Stream] = []
        self._last: _Stream | None = None
        self.ended = 0

    @property
    def cut(self) -> list[list[Frame]]:
        """The frames of those that nothing ended: where they stand is not told."""
        return [stream.frames for stream in self._alive]

    def begin(self, frames: list[Frame]) -> None:
        self._last = _Stream(frames)
        self._alive = [*self._alive[-MOST_ALIVE:], self._last]

    def stream(self, frame: Frame) -> list[Frame]:
        """Where the frame belongs: to the traceback whose program called a function of this name."""
        streams = self._alive[::-1]
        if not streams:
            self.begin([])
            streams = self._alive
        chosen = next((stream for stream in streams if stream.calls(frame.function)), None)
        if chosen is None:
            chosen = next((stream for stream in streams if stream.unclear), streams[0])
        chosen.source = []
        self._last = chosen
        return chosen.frames

    def read(self, line: str) -> Iterator[Ended]:
        """A line that is no frame: of the program, or what a traceback ended with."""
        if not self._alive:
            if (end := error_of(line)) and end[1] and end[0].endswith(("Error", "Exception")):
                yield Ended([], True, _fact(*end, line, []))  # its frames were not pasted
            return
        if line[:1] in (" ", "\t") and self._last:
            self._last.source.append(line.strip()[:LONGEST])
            return
        if any(words in line for words in _CHAINED):
            self._alive, self._last = [], None
            return
        end = error_of(line)
        if end is None:
            return
        self.ended += 1
        stream = self._alive.pop(0) if end[0] == "KeyboardInterrupt" else self._alive.pop()
        self._last = self._alive[-1] if self._alive else None
        yield Ended(stream.frames, waited(*end), _fact(*end, line, stream.frames))


def _fact(error: str, words: str, line: str, frames: list[Frame]) -> LogFact:
    frame = stand_of(tuple(frames)).frame if frames else None
    place = f" in {frame.function} ({frame.file.rpartition('/')[2]}:{frame.line})" if frame else ""
    said = f": {words[:300]}" if words else ""
    return fact(
        FactKind.ERROR, f"{error}{place}{said}", line, error=error,
        function=frame.function if frame else "", file=frame.file if frame else "",
        line_number=str(frame.line) if frame else "",
    )  # fmt: skip
