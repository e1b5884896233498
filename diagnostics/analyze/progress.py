"""Is a rank progressing, slow, hung, idle or gone? Judged from its own history and from two samples of it.

A long step alone says little: it may be slow input, a compile, a checkpoint. So `hung` needs both: longer without
an event than the rank's own history allows, *and* nothing that moved between two samples a known time apart.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence

from diagnostics.model import Event, Flight, Process, Record, Sample, State
from diagnostics.model.rank import parse


class Limits(Record, frozen=True):
    """When silence becomes suspicious. Times in seconds.

    `floor`: never before this. `unknown_history`: with too few events to know what is normal (the first step
    builds and compiles). `phase`: inside a save, a barrier or a named phase (evaluation, checkpoint). `busy`: how
    many times longer a rank that still burns CPU or moves bytes may stay silent. `moving_cpu`, `moving_bytes` (over
    sockets), `moving_disk` (bytes of storage): a second, what counts as moving; an idle TensorFlow process with its
    timers and its log stays well below. `slower`: so many times its usual step makes a rank slow. `held_up`: how many
    times longer a rank may stay silent after its quota, or that of one it waits for, has held it up.

    Without a recorder: `stands`: so long a position that does not change is called hung where nothing else of the job
    moves; `proven`: the same where what it waits for cannot come.
    """

    floor: float = 4.0
    unknown_history: float = 60.0
    phase: float = 120.0
    busy: float = 20.0
    moving_cpu: float = 0.05
    moving_bytes: float = 512.0
    moving_disk: float = 262144.0
    slower: float = 5.0
    held_up: float = 5.0
    stands: float = 20.0
    proven: float = 1.0


_ENOUGH_HISTORY = 20
_FIRST_STEPS = 3
_RECENT = 5
_LAST_SECONDS = 10.0
_SPAN = 2.5
"""Seconds of which a rank's better times are made up, those with enough steps to tell."""


def gaps_of(times: Sequence[float]) -> list[float]:
    return [after - before for before, after in itertools.pairwise(times)]


def silence_allowed(gaps: Sequence[float], limits: Limits) -> float:
    """How long a rank may say nothing, by the gaps between its past events.

    Robust on both sides: the median ignores a few slow steps, the 99th percentile (never the largest of up to a
    hundred, which is the first step) keeps ranks whose steps vary from being suspected.
    """
    if len(gaps) < _ENOUGH_HISTORY:
        return limits.unknown_history
    ordered = sorted(gaps)
    high = ordered[int(0.99 * (len(ordered) - 1))]
    return max(limits.floor, 30 * statistics.median(ordered), 3 * high)


def silence_of(flight: Flight) -> float:
    """Seconds from the last event to when the recording was read."""
    return max(0.0, flight.read_at - flight.events[-1].at) if flight.events else 0.0


def slowdown(flight: Flight) -> float:
    """How many times longer than its usual step the rank's last steps took; 1 with too few to tell.

    The median of the last few over that of all; or the mean of the last seconds over that of its better times, as on a
    link that loses data many steps are as quick as ever, and some take seconds.
    """
    begun: dict[int, float] = {}
    steps: list[tuple[float, float]] = []  # end, seconds
    for event in flight.events:
        if event.kind == "step_begin":
            begun[event.thread] = event.at
        elif event.kind == "step_end" and event.thread in begun:
            steps.append((event.at, event.at - begun.pop(event.thread)))
    if len(steps) < _ENOUGH_HISTORY or flight.typical_step <= 0:
        return 1.0
    pace = statistics.median(seconds for _, seconds in steps[-_RECENT:]) / flight.typical_step
    last = [seconds for end, seconds in steps if end >= steps[-1][0] - _LAST_SECONDS]
    spans = [[seconds for _, seconds in span] for _, span in itertools.groupby(steps, lambda step: step[0] // _SPAN)]
    means = sorted(statistics.mean(span) for span in spans if len(span) >= _ENOUGH_HISTORY)
    if not means:
        return pace
    return max(pace, statistics.mean(last) / max(means[len(means) // 4], flight.typical_step))


def is_frozen(process: Process) -> bool:
    """Whether its control group is frozen: every thread stands, and the process cannot know."""
    return any(sample.cgroup.frozen for sample in process.samples[-1:] if sample.cgroup)


def is_overdue(flight: Flight, limits: Limits) -> bool:
    """Whether the rank has been silent for longer than its history allows. Silence on purpose is none."""
    return overdue_in(flight, limits) < 0


def overdue_in(flight: Flight, limits: Limits) -> float:
    """Seconds after which the rank has been silent for longer than its history allows, if it goes on saying nothing.

    Negative where it has been already. Silence on purpose is allowed for ever.
    """
    leaving = newest(flight, "exit")
    done = is_closed(flight) or (leaving is not None and leaving.value >= 0)
    return math.inf if done else allowed_silence(flight, limits) - silence_of(flight)


def allowed_silence(flight: Flight, limits: Limits) -> float:
    """How long the rank may say nothing now, in seconds, by its history and by what it is in."""
    allowed = silence_allowed(gaps_of([event.at for event in flight.events]), limits)
    if flight.steps < _FIRST_STEPS:
        allowed = max(allowed, limits.unknown_history)  # whatever came before tells nothing about steps
    inside = {span.kind for span in flight.open}
    return max(allowed, limits.phase) if inside & {"save", "phase"} else allowed


def has_moved(samples: Sequence[Sample], limits: Limits) -> str:
    """What moved between the first and the last sample, in words; "" for nothing."""
    if len(samples) < 2:
        return ""
    first, last = samples[0], samples[-1]
    seconds = max(last.at - first.at, 1e-3)
    if last.events > first.events:
        return f"{last.events - first.events} recorder events in {seconds:.1f} s"
    cpu = last.cpu - first.cpu
    if cpu / seconds > limits.moving_cpu:
        return f"{cpu:.2f} s of CPU in {seconds:.1f} s"
    moved = last.socket_bytes - first.socket_bytes
    if moved / seconds > limits.moving_bytes:
        return f"{moved} bytes over its sockets in {seconds:.1f} s"
    stored = last.disk_bytes - first.disk_bytes
    if first.disk_bytes >= 0 and stored / seconds > limits.moving_disk:
        return f"{stored} bytes of storage in {seconds:.1f} s"
    return "its storage answers" if storage_answers(first, last) else ""


def storage_answers(first: Sample, last: Sample) -> bool:
    """Whether a thread in uninterruptible sleep woke in between: a long fsync moves nothing else."""
    before = {thread.tid: thread for thread in first.threads}
    return any(
        "D" in (thread.state, before[thread.tid].state) and thread.voluntary > before[thread.tid].voluntary
        for thread in last.threads
        if thread.tid in before
    )


MAY_BE_STUCK = (State.HUNG, State.SLOW, State.UNKNOWN)
"""States of a rank that may wait for what does not come."""


def is_server(rank: str) -> bool:
    return parse(rank).is_server


def is_stopped(process: Process) -> bool:
    """Whether a signal or a debugger stopped it: every thread stands, and the process cannot know."""
    letters = {thread.state for sample in process.samples[-1:] for thread in sample.threads}
    return bool(letters) and letters <= {"T", "t"}


def newest(flight: Flight | None, kind: str) -> Event | None:
    return next((event for event in reversed(flight.events) if event.kind == kind), None) if flight else None


def is_closed(flight: Flight) -> bool:
    """Whether the job stopped recording on purpose."""
    return bool(flight.events) and flight.events[-1].kind == "close"


def judge_leaving(silence: float, moved: str, limits: Limits) -> tuple[State, str]:
    """Of a process that began to end and is still there: what ends it (joins, destructors) may hang."""
    said = f"it began to end {silence:.1f} s ago and is still there"
    if moved:
        return State.PROGRESSING, f"{said}, but it moves: {moved}"
    if silence > limits.unknown_history:
        return State.HUNG, f"{said}, and nothing moved between two samples"
    return State.PROGRESSING, said


def judge_by_recorder(flight: Flight, moved: str, limits: Limits) -> tuple[State, str]:
    silence, allowed = silence_of(flight), allowed_silence(flight, limits)
    pace = slowdown(flight)
    if silence <= allowed and pace >= limits.slower:
        usual = f"{flight.typical_step:.3g} s"
        return State.SLOW, f"its last steps took {pace:.0f} times as long as usual ({usual})"
    if silence <= allowed:
        return State.PROGRESSING, f"last event {silence:.1f} s ago, within its history ({allowed:.1f} s)"
    where = "between steps"
    if flight.open:
        span = flight.open[-1]
        where = f"{span.kind} {span.epoch if span.kind == 'epoch' else span.step} open"
    said = f"{where}, no event for {silence:.1f} s; its history allows {allowed:.1f} s"
    if not moved:
        return State.HUNG, f"{said}, and nothing moved between two samples"
    if silence > limits.busy * allowed:
        return State.HUNG, f"{said}, though it is busy: {moved}"
    return State.SLOW, f"{said}, but it moves: {moved}"
