"""The report of PyTorch's analyzer of Flight Recorder dumps: who did not come to which collective, called from where.

Wordings: `tools/flight_recorder/components` of PyTorch 2.5 to 2.9, `torch/distributed/flight_recorder` since.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from diagnostics.importers.vocabulary.base import Block, Said, fact, ranks_in
from diagnostics.model import FactKind

_BEGINS = re.compile(r"(Not all ranks joining collective|Collective .{0,60}does not match|.{0,40}errors? in collective)", re.I)
_FIELD = re.compile(
    r"\s*(sequence number|collective|group info|missing ranks|collective state|world size|expected ranks|internal record id"
    r"|input sizes|output sizes|collective stack trace|collective sequence id): ?(.*)$",
    re.I,
)
_NUMBER = re.compile(r"sequence (?:number|id):? ?(\d+)(?!\d)", re.I)
_MISSING = re.compile(r"missing ranks:? ?\{?([\d, ]+)(\}?)", re.I)
_CALLED = re.compile(r"\s*(\w[\w.<>]*) at (\S+):(\d+)$")
_OUTLINE = 12
_LIBRARY = re.compile(r"(?:^|/)(?:torch|torchgen)/")


class Report(Block):
    """`Not all ranks joining collective: ...`, with a field a line below it, and the caller's stack."""

    def __init__(self) -> None:
        self._line = ""
        self._fields: dict[str, str] = {}
        self._missing = ""
        self._stack: list[tuple[str, str, str]] = []

    def feed(self, line: str) -> Iterable[Said]:
        if _BEGINS.match(line.strip()):
            yield from self.finish()
            self._line = line.strip()
            self._take(line)
        elif self._line:
            if called := _CALLED.match(line):
                self._stack.append((called[1], called[2], called[3]))
            elif _FIELD.match(line):
                self._take(line)
            elif line.strip():
                yield from self.finish()

    def _take(self, line: str) -> None:
        if number := _NUMBER.search(line):
            self._fields["number"] = number[1]
        if missing := _MISSING.search(line):
            self._missing = missing[1] if missing[2] or "{" not in missing[0] else ""  # a list that was cut tells little
        field = _FIELD.match(line)
        if field and field[1].lower() == "collective":
            self._fields["operation"] = field[2].strip().rpartition(":")[2]
        elif field and field[1].lower() == "group info":
            self._fields["group"] = field[2].strip()

    def finish(self) -> Iterable[Said]:
        line, self._line = self._line, ""
        fields, missing, stack = self._fields, self._missing, self._stack
        self._fields, self._missing, self._stack = {}, "", []
        if not line.lower().startswith("not all") or not (fields.get("number") or missing):
            return
        absent = ranks_in(missing)
        which = " ".join(filter(None, (fields.get("operation", "collective"), fields.get("number", ""))))
        who = f"; missing: {', '.join(absent)}" if absent else ""
        frames = [f"{name} ({file.rpartition('/')[2]}:{number})" for name, file, number in stack]
        where = f"; called by {', in '.join(frames[:_OUTLINE])}" if frames else ""
        own = next(((name, file, number) for name, file, number in stack if not _LIBRARY.search(file)), ("", "", ""))
        values = {**fields, "function": own[0], "file": own[1], "line_number": own[2]}
        yield Said("", fact(FactKind.ABSENT, f"not all ranks came to {which}{who}{where}", line, absent, **values))


BLOCKS = (Report,)
