"""The flight recorder that the job itself carries. Read from its file; never touches the process."""

import time
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from diagnostics.collector.look import Fields, Look, plain
from diagnostics.recorder import (
    Counts,
    EventKind,
    Recording,
    RecordingError,
    last_batch,
    layout,
    open_spans,
    read,
    read_counts,
    read_header,
    steps,
)

TAIL = 400
"""Events that go into the evidence."""


class Event(NamedTuple):
    """As `diagnostics.model.Event`."""

    at: float
    wall: float
    kind: str
    step: int
    epoch: int
    value: int = 0
    label: str = ""
    thread: int = 0


class OpenSpan(NamedTuple):
    """As `diagnostics.model.OpenSpan`."""

    kind: str
    seconds: float
    step: int
    epoch: int
    label: str = ""


Flight = Dict[str, Any]
"""The fields of `diagnostics.model.Flight`."""


def sample(look: Look) -> Fields:
    found = {}
    for pid, target in look.targets.items():
        counts = counts_of(target.recorder) if target.recorder else None
        if counts:
            found[pid] = {"step": counts.steps_ended, "events": counts.events}
    return found


def once(look: Look) -> Fields:
    flights = {pid: load(target.recorder) for pid, target in look.targets.items() if target.recorder}
    return {pid: {"flight": plain(flight)} for pid, flight in flights.items() if flight}


def find(mapped: Iterable[str]) -> str:
    """The recorder file among the files that a process has mapped, "" for none."""
    for name in mapped:
        try:
            with open(name, "rb") as file:
                if file.read(len(layout.MAGIC)) == layout.MAGIC:
                    return name
        except OSError:
            continue
    return ""


def counts_of(path: str) -> Optional[Counts]:
    """Who records and how much there is, whatever the ring's size; None where there is no recording yet."""
    try:
        return read_counts(path)
    except (OSError, RecordingError):
        return None


def rank_of(path: str) -> str:
    """Who records; "" where there is no recording yet."""
    try:
        return read_header(path).rank
    except (OSError, RecordingError):
        return ""


def load(path: Any, tail: int = TAIL) -> Optional[Flight]:
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
    return {
        "rank": header.rank,
        "runtime": header.runtime,
        "events": tuple(
            Event(
                at=event.mono, wall=event.wall, kind=event.kind.name.lower(), step=event.step, epoch=event.epoch,
                value=event.value, label=event.label, thread=event.thread,
            )
            for event in (recording.events[-tail:] if tail else ())
        ),
        "open": tuple(
            OpenSpan(
                kind=span.kind.name.lower().replace("_begin", ""), seconds=round(max(0.0, now - span.since), 3),
                step=span.step, epoch=span.epoch, label=span.label,
            )
            for span in open_spans(recording)
        ),
        "epoch_ends": totals.epoch_ends,
        "steps": totals.steps_ended,
        "count": totals.events,
        "torn": recording.torn,
        "error": recording.error.text if recording.error else "",
        "last_epoch": batch.epoch if batch else -1,
        "last_batch": batch.index if batch else -1,
        "last_rows": batch.rows if batch else -1,
        "end_of_sequence": batch.end_of_sequence if batch else False,
        "read_at": now,
        "typical_step": _median(durations),
        "step_in_epoch": in_epoch,
        "epoch_lengths": lengths,
    }  # fmt: skip


def epochs_of(recording: Recording) -> Tuple[Tuple[int, ...], int]:
    """Distinct numbers of batches of the past epochs, and the index in its epoch of the newest step (-1: unknown).

    An epoch of n batches makes n + 1 steps: the last one finds the input exhausted.
    """
    lengths: Set[int] = set()
    began = -1
    for event in sorted({*recording.events, *recording.latest, *recording.opened}):
        if event.kind is EventKind.EPOCH_BEGIN:
            began = event.begun
        elif event.kind is EventKind.END_OF_SEQUENCE and began >= 0:
            lengths.add(event.begun - began - 1)
    newest = recording.totals.steps_begun
    return tuple(sorted(lengths)), newest - began - 1 if began >= 0 and newest > began else -1


def _median(numbers: List[float]) -> float:
    """-1 for none."""
    if not numbers:
        return -1.0
    middle, ordered = len(numbers) // 2, sorted(numbers)
    return ordered[middle] if len(numbers) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
