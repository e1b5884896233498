"""austin's collapsed stacks: `P4711;T0:4712;train.py:step:31;... 100`. The last sample of a thread counts."""

from __future__ import annotations

import re

from diagnostics.importers.formats.grammar import Grammar, ProcessHead, ThreadHead
from diagnostics.model import Frame

_SAMPLE = re.compile(r"P(\d+);T(?:\d+:)?(0x[0-9a-f]+|\d+)((?:;[^;]+)+) (\d+)(?:,\d+)*$")
_PLACE = re.compile(r"(.*):([^:]+):(\d+)(?::\d+)*$")
MOST = 200_000


def prepare(lines: list[str]) -> list[str]:
    """Each thread's last sample as lines of the process, the thread and its frames."""
    if not any(_SAMPLE.match(line) for line in lines[:50]):
        return lines
    last: dict[tuple[str, str], re.Match[str]] = {}
    rest = []
    for line in lines[:MOST]:
        if sample := _SAMPLE.match(line):
            last[sample[1], sample[2]] = sample
        else:
            rest.append(line)
    for (pid, tid), sample in last.items():
        rest += [f"austin P{pid}", f"austin T{int(tid, 0)}"]
        rest += [f"austin {place}" for place in sample[3].split(";") if place]
    return rest


def _process(line: str) -> ProcessHead | None:
    return ProcessHead(int(line[8:])) if line.startswith("austin P") and line[8:].isdecimal() else None


def _thread(line: str) -> ThreadHead | None:
    return ThreadHead(int(line[8:])) if line.startswith("austin T") and line[8:].isdecimal() else None


def _frame(line: str) -> Frame | None:
    place = _PLACE.match(line[7:]) if line.startswith("austin ") else None
    return Frame(place[2], place[1], int(place[3])) if place else None


GRAMMAR = Grammar("austin", _thread, _frame, _process, innermost_first=False, prepare=prepare)
