"""Rung: the flight recorder that the job itself carries. Read from its file; never touches the process."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from diagnostics.model import Event, Flight, OpenSpan
from diagnostics.recorder import (
    EventKind,
    Recording,
    RecordingError,
    last_batch,
    layout,
    open_spans,
    read,
    steps,
)

TAIL = 400
"""Events that go into the evidence."""


def find(mapped: tuple[str, ...]) -> Path | None:
    """The recorder file among the files that a process has mapped."""
    for name in mapped:
        try:
            with open(name, "rb") as file:
                if file.read(len(layout.MAGIC)) == layout.MAGIC:
                    return Path(name)
        except OSError:
            continue
    return None


def load(path: Path, tail: int = TAIL) -> Flight | None:
    """The recording as plain values; None where there is none yet, or it is no recording."""
    try:
        return to_flight(read(str(path)), time.monotonic(), tail)
    except (OSError, RecordingError):
        return None


def to_flight(recording: Recording, now: float, tail: int = TAIL) -> Flight:
    """`now` is the monotonic time at which the recording was read."""
    header, batch, totals = recording.header, last_batch(recording), recording.totals
    durations = [step.end - step.begin for step in steps(recording) if step.end is not None]
    lengths, in_epoch = epochs_of(recording)
    return Flight(
        rank=header.rank,
        runtime=header.runtime,
        events=tuple(
            Event(
                at=event.mono, wall=event.wall, kind=event.kind.name.lower(), step=event.step, epoch=event.epoch,
                value=event.value, label=event.label, thread=event.thread,
            )
            for event in recording.events[-tail:]
        ),
        open=tuple(
            OpenSpan(
                kind=span.kind.name.lower().removesuffix("_begin"), seconds=round(max(0.0, now - span.since), 3),
                step=span.step, epoch=span.epoch, label=span.label,
            )
            for span in open_spans(recording)
        ),
        epoch_ends=totals.epoch_ends,
        steps=totals.steps_ended,
        count=totals.events,
        torn=recording.torn,
        error=recording.error.text if recording.error else "",
        last_epoch=batch.epoch if batch else -1,
        last_batch=batch.index if batch else -1,
        last_rows=batch.rows if batch else -1,
        end_of_sequence=batch.end_of_sequence if batch else False,
        read_at=now,
        typical_step=statistics.median(durations) if durations else -1.0,
        step_in_epoch=in_epoch,
        epoch_lengths=lengths,
    )  # fmt: skip


def epochs_of(recording: Recording) -> tuple[tuple[int, ...], int]:
    """Distinct numbers of batches of the past epochs, and the index in its epoch of the newest step (-1: unknown).

    An epoch of n batches makes n + 1 steps: the last one finds the input exhausted.
    """
    lengths: set[int] = set()
    began = -1
    for event in sorted({*recording.events, *recording.latest, *recording.opened}):
        if event.kind is EventKind.EPOCH_BEGIN:
            began = event.begun
        elif event.kind is EventKind.END_OF_SEQUENCE and began >= 0:
            lengths.add(event.begun - began - 1)
    newest = recording.totals.steps_begun
    return tuple(sorted(lengths)), newest - began - 1 if began >= 0 and newest > began else -1
