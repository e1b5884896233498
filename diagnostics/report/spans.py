"""What each rank was doing when: the flight recorder's begin and end records paired into spans."""

from __future__ import annotations

import re
from typing import NamedTuple

from diagnostics.model import Collection, Event, Flight, Process, State

_EDGE = re.compile(r"(?P<what>\w+?)[_.-](?P<edge>begin|start|end|done)")

CALM = (State.PROGRESSING, State.IDLE, State.FINISHED)

QUIET = ("rows", "tick")
"""Kinds that come with every batch: too many to mark, and the steps show them already."""


class Span(NamedTuple):
    """Something that began at `start` and ended at `end`, or was read at `end` if `open`. Wall times."""

    what: str  # "step", "epoch", "save", ...
    start: float
    end: float
    open: bool
    step: int
    epoch: int
    value: int
    label: str
    thread: int


class Mark(NamedTuple):
    """Something that happened at one moment: an end of sequence, a failure."""

    what: str
    at: float
    step: int
    epoch: int
    label: str


class Lane(NamedTuple):
    """One rank's spans and marks, in order. `first` and `last` bound what the recorder saw."""

    rank: str
    calm: bool  # it goes on: what is open will end
    pid: int
    first: float
    last: float
    read: float  # when the recorder was read
    spans: tuple[Span, ...]
    marks: tuple[Mark, ...]


def lanes(collection: Collection) -> tuple[Lane, ...]:
    """A lane for every rank whose recorder held anything, in the order of the collection."""
    return tuple(
        lane
        for process in collection.processes
        if process.flight is not None and (process.flight.events or process.flight.open)
        for lane in [_lane(process, process.flight, collection.collected_at)]
    )


def _lane(process: Process, flight: Flight, collected_at: float) -> Lane:
    events = sorted(flight.events, key=lambda event: event.at)
    # Monotonic time keeps its order whatever the clock is set to; the last event ties it to wall time.
    offset = events[-1].wall - events[-1].at if events else 0.0
    last = events[-1].wall if events else collected_at
    read = flight.read_at + offset if events and flight.read_at else collected_at
    read = max(read, last)
    spans, marks = _pair(events, offset)
    spans += [
        Span(span.kind, read - max(span.seconds, 0.0), read, True, span.step, span.epoch, 0, span.label, 0)
        for span in flight.open
    ]
    first = min([span.start for span in spans] + [mark.at for mark in marks] + [last])
    return Lane(
        process.rank, process.state in CALM, process.pid, first, last, read,
        tuple(sorted(spans, key=lambda span: span.start)), tuple(marks),
    )  # fmt: skip


def _pair(events: list[Event], offset: float) -> tuple[list[Span], list[Mark]]:
    spans: list[Span] = []
    marks: list[Mark] = []
    began: dict[tuple[str, int, str], Event] = {}
    for event in events:
        match = _EDGE.fullmatch(event.kind.lower())
        if event.kind.lower() in QUIET:
            continue
        if match is None:
            marks.append(Mark(event.kind, event.at + offset, event.step, event.epoch, event.label))
            continue
        what = match["what"]
        # A barrier or a phase may be nested in another of its kind: the label tells them apart.
        key = (what, event.thread, event.label if what not in ("step", "epoch") else "")
        if match["edge"] in ("begin", "start"):
            began[key] = event
            continue
        start = began.pop(key, None)
        # Its begin has left the ring, or a record was torn: the end alone is still a moment to show.
        if start is None:
            marks.append(Mark(event.kind, event.at + offset, event.step, event.epoch, event.label))
            continue
        spans.append(
            Span(
                what, start.at + offset, event.at + offset, False, event.step, event.epoch, event.value,
                event.label or start.label, event.thread,
            )
        )  # fmt: skip
    return spans, marks
