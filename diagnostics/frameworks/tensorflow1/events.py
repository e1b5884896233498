"""What the probes said, as values. One line an event: its letter, time, process, thread, then the probe's fields.

Those that were remembered come as bpftrace prints its maps: `@R[100, 4096]: (1000, 11, 4096)`, with a line `@Rn: 12`
for how often the probe was hit.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from diagnostics.frameworks.tensorflow1.probes import Decoded, Event, Probe

KEYS = 1 << 15
"""Calls that a probe remembers, of all processes."""
_LOST = re.compile(r"^Lost (\d+) events")
_REMEMBERED = re.compile(r"^@(\w)\[(\d+)(?:, -?\d+)+\]: \(([-\d, ]+)\)$")
_HITS = re.compile(r"^@(\w)n: (\d+)$")
_WORD = (1 << 64) - 1


def decode(lines: Iterable[str], probes: Iterable[Probe]) -> Decoded:
    """Events of all processors, which arrive processor by processor, in one order."""
    known = {probe.letter: probe for probe in probes}
    events: list[Event | None] = []
    counts: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    lost = 0
    for line in lines:
        if probe := known.get(line[:1] if line[1:2] == " " else ""):
            events.append(event := _told(line, probe))
            counts[probe.event] += event is not None
        elif (match := _REMEMBERED.match(line)) and (probe := known.get(match[1])):
            events.append(_remembered(match, probe))
            kept[probe.letter] += 1
        elif (match := _HITS.match(line)) and (probe := known.get(match[1])):
            counts[probe.event] += int(match[2])
        elif match := _LOST.match(line):
            lost += int(match[1])
    lost += sum(number >= KEYS for number in kept.values())  # a full table takes no more, and does not say so
    read = sorted((event for event in events if event), key=lambda event: event.at)
    return Decoded(tuple(read), lost, len(events) - len(read), counts)


def _told(line: str, probe: Probe) -> Event | None:
    words = line.split(" ", 4 + len(probe.numbers))
    try:
        at, pid, tid, *numbers = (int(word, 16) for word in words[1 : 4 + len(probe.numbers)])
    except ValueError:
        return None
    if len(numbers) != len(probe.numbers):
        return None
    text = words[4 + len(probe.numbers)].rstrip("\n") if len(words) > 4 + len(probe.numbers) else ""
    return Event(at, probe.event, pid, tid, dict(zip(probe.numbers, numbers, strict=True)), text)


def _remembered(match: re.Match[str], probe: Probe) -> Event | None:
    words = [int(word) & _WORD for word in match[3].split(", ")]
    if len(words) != 2 + len(probe.numbers):
        return None
    at, tid, *numbers = words
    return Event(at, probe.event, int(match[2]), tid, dict(zip(probe.numbers, numbers, strict=True)))
