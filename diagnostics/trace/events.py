"""What the probes said, as values. One line an event: its name, time, process, thread, then the probe's fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from diagnostics.trace.probes import Probe

_LOST = re.compile(r"^Lost (\d+) events")


class Event(NamedTuple):
    """A probed function was entered. `at` is in nanoseconds of CLOCK_MONOTONIC, the same for all processes."""

    at: int
    kind: str
    pid: int
    tid: int
    numbers: Mapping[str, int]
    text: str = ""


class Decoded(NamedTuple):
    """Events in the order of their time. `lost` did not fit the kernel's buffer; `bad` lines could not be read."""

    events: tuple[Event, ...]
    lost: int
    bad: int


def decode(lines: Iterable[str], probes: Iterable[Probe]) -> Decoded:
    """Events of all processors, which arrive processor by processor, in one order."""
    known = {probe.letter: probe for probe in probes}
    events: list[Event] = []
    lost = bad = 0
    for line in lines:
        if probe := known.get(line[:1] if line[1:2] == " " else ""):
            if event := _event(line, probe):
                events.append(event)
            else:
                bad += 1
        elif match := _LOST.match(line):
            lost += int(match[1])
    events.sort(key=lambda event: event.at)
    return Decoded(tuple(events), lost, bad)


def _event(line: str, probe: Probe) -> Event | None:
    words = line.split(" ", 4 + len(probe.numbers))
    try:
        at, pid, tid, *numbers = (int(word, 16) for word in words[1 : 4 + len(probe.numbers)])
    except ValueError:
        return None
    if len(numbers) != len(probe.numbers):
        return None
    text = words[4 + len(probe.numbers)].rstrip("\n") if len(words) > 4 + len(probe.numbers) else ""
    return Event(at, probe.event, pid, tid, dict(zip(probe.numbers, numbers, strict=True)), text)
