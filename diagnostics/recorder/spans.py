"""What a recording says of where the job is: facts only, whether it hangs is judged elsewhere. Pure."""

from typing import Dict, List, NamedTuple, Optional, Tuple

from .layout import ENDS, EventKind
from .reader import Event, Recording

Span = NamedTuple(
    "Span",
    [
        ("kind", EventKind),
        ("label", str),
        ("thread", int),
        ("since", float),
        ("since_wall", float),
        ("exact", bool),
        ("step", int),
        ("epoch", int),
        ("value", int),
    ],
)
"""What began (``kind`` is that of its begin) and has not ended.

since: monotonic seconds. exact: false if the begin itself has left the ring, then it was before ``since``
and thread is 0.
"""

Step = NamedTuple(
    "Step",
    [
        ("thread", int),
        ("step", int),
        ("epoch", int),
        ("begin", float),
        ("end", Optional[float]),
        ("rows", int),
        ("failed", bool),
    ],
)
"""One step that the ring still holds whole, or the open one. Monotonic seconds; rows -1: unknown."""

LastBatch = NamedTuple(
    "LastBatch",
    [
        ("epoch", int),
        ("index", int),
        ("step", int),
        ("rows", int),
        ("mono", float),
        ("end_of_sequence", bool),
    ],
)
"""The last batch that the job got.

index: its place in the epoch, from 0; -1 if the epoch's begin is unknown. end_of_sequence: whether the
input was found exhausted after it, and no epoch began since.
"""

_BEGINS = frozenset(ENDS.values())


def _ended(begun: List[Event], end: Event) -> Optional[Event]:
    """Which open event an end closes: the newest of its kind and label, the same thread's if there is one."""
    kind = ENDS[end.kind]
    same = [event for event in begun if event.kind == kind and event.label == end.label]
    mine = [event for event in same if event.thread == end.thread]
    if kind == EventKind.STEP_BEGIN:  # Threads make steps each on its own.
        same = mine
    found = mine or same
    return found[-1] if found else None


def _replaced(begun: List[Event], begin: Event) -> List[Event]:
    """Which open events a begin ends without saying so: the thread's last step, the last epoch."""
    if begin.kind == EventKind.STEP_BEGIN:
        return [event for event in begun if event.kind == begin.kind and event.thread == begin.thread]
    if begin.kind == EventKind.EPOCH_BEGIN:
        return [event for event in begun if event.kind == begin.kind]
    return []


def open_spans(recording: Recording) -> Tuple[Span, ...]:
    """What began and has not ended, oldest first."""
    by_seq = {event.seq: event for event in recording.opened}
    by_seq.update((event.seq, event) for event in recording.events)
    begun: List[Event] = []
    for seq in sorted(by_seq):
        event = by_seq[seq]
        if event.kind in _BEGINS:
            for old in _replaced(begun, event):
                begun.remove(old)
            begun.append(event)
        elif event.kind in ENDS:
            old_one = _ended(begun, event)
            if old_one is not None:
                begun.remove(old_one)
    spans = [Span(e.kind, e.label, e.thread, e.mono, e.wall, True, e.step, e.epoch, e.value) for e in begun]
    stepping = any(span.kind == EventKind.STEP_BEGIN for span in spans)
    # The begin may be gone from the ring, and from the table if another thread than the first one made it.
    gone = recording.events and (recording.events[0].seq > 0 or recording.lost)
    if gone and not stepping and recording.totals.steps_begun > recording.totals.steps_ended:
        e = recording.events[0]
        spans.insert(0, Span(EventKind.STEP_BEGIN, "", 0, e.mono, e.wall, False, e.step, e.epoch, -1))
    return tuple(spans)


def steps(recording: Recording) -> Tuple[Step, ...]:
    """The history of steps, oldest first; those without an end are the open ones (one a thread)."""
    done: List[Step] = []
    begun: Dict[int, Event] = {}
    for event in recording.events:
        if event.kind == EventKind.STEP_BEGIN:
            begun[event.thread] = event
        elif event.kind == EventKind.STEP_END and event.thread in begun:
            begin = begun.pop(event.thread)
            done.append(
                Step(event.thread, begin.step, begin.epoch, begin.mono, event.mono, event.value, event.failed)
            )
    done.extend(Step(e.thread, e.step, e.epoch, e.mono, None, -1, False) for e in begun.values())
    return tuple(sorted(done, key=lambda step: step.begin))


def last_batch(recording: Recording) -> Optional[LastBatch]:
    """The last batch that came; None if none did, or the ring no longer holds it."""
    batch: Optional[Event] = None
    for event in recording.events:
        if event.kind == EventKind.ROWS or (event.kind == EventKind.STEP_END and not event.failed):
            # The step's end does not know the rows? Then what was said when the batch came stands.
            said = batch is not None and batch.kind == EventKind.ROWS and batch.step == event.step
            if not (said and event.value < 0):
                batch = event
    if batch is None:
        return None
    marks = sorted(set(recording.events + recording.latest + recording.opened))
    starts = [e for e in marks if e.kind in (EventKind.EPOCH_BEGIN, EventKind.END_OF_SEQUENCE)]
    before = [e for e in starts if e.seq < batch.seq]
    unknown = starts and recording.events[0].seq > 0
    base = before[-1].begun if before else -1 if unknown else 0
    after = [e.kind for e in starts if e.seq > batch.seq]
    index = batch.begun - 1 - base if base >= 0 else -1
    exhausted = EventKind.END_OF_SEQUENCE in after and after[-1] != EventKind.EPOCH_BEGIN
    return LastBatch(batch.epoch, index, batch.step, batch.value, batch.mono, exhausted)
