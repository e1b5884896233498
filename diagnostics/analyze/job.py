"""The states of all ranks of a job, each seen beside the others: one that looks hung may wait for what comes by itself.

What excuses a rank is the state of the rank that it waits for: held up by its quota, asleep inside the framework for a
known time, or with data on its way. Only being throttled now excuses for as long as it lasts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from diagnostics.analyze.absent import with_absent
from diagnostics.analyze.beside import beside_others, since_of
from diagnostics.analyze.judge import judge
from diagnostics.analyze.loops import in_loop, standing_loop
from diagnostics.analyze.progress import Limits, allowed_silence, is_frozen, is_stopped, silence_of
from diagnostics.analyze.relations import Relations
from diagnostics.model import Collection, Connection, Process, Role, State
from diagnostics.stacks.position import threads_with

THROTTLED = 0.5
"""Share of the quota's periods from which a rank is held up by its quota."""
_FEW_PERIODS = 5
"""Of 100 ms each, between two samples, which tell nothing: periods are counted only while something wants to run."""

UNANSWERED = 4
"""Segments sent again so often in a row: with doubling waits from 0.2 s that is three seconds without an answer. A link
that loses four of ten, both ways, comes to that once in six times."""

AUTOTUNE_SLEEP = 60.0
"""Seconds that tf.data's autotuner sleeps at most between two looks at a pipeline. It begins with 10 ms and doubles."""


def judge_all(collection: Collection, limits: Limits = Limits()) -> Collection:
    """The collection with a state for every process, which also expects the ranks of which others tell."""
    return judge_with_relations(collection, limits)[0]


def judge_with_relations(collection: Collection, limits: Limits) -> tuple[Collection, Relations]:
    """The same, and what holds between the ranks."""
    collection = _judge_each(collection, limits)
    relations = Relations(collection)
    return beside_others(with_absent(collection, relations.absent), limits, relations), relations


def _judge_each(collection: Collection, limits: Limits) -> Collection:
    """With the states that need no knowledge of who waits for whom, and with positions that know the samples."""
    held = {process.rank for process in collection.processes if throttled_share(process) >= THROTTLED}
    now = {process.rank for process in collection.processes if _throttled_now(process) >= THROTTLED}
    asleep = {process.rank for process in collection.processes if waits_for_autotuner(process)}
    on_its_way = next(_on_its_way(collection), "")

    def excuse(process: Process) -> str:
        if process.flight is None or is_frozen(process) or is_stopped(process):
            return ""
        near = {process.rank, *(connection.peer for connection in process.connections)}
        silence = silence_of(process.flight)
        # Threads that came late for each other may all sleep for seconds, after a quota held one of them up.
        early = silence <= limits.held_up * allowed_silence(process.flight, limits)
        if throttled := sorted(near & (held if early else now)):
            return f"but {throttled[0]} is throttled, so its peers wait without being stuck"
        if (sleeping := sorted(near & asleep)) and silence <= AUTOTUNE_SLEEP:
            return f"but {sleeping[0]} waits for the autotuner of tf.data, which wakes within a minute"
        return f"but data {on_its_way}, not acknowledged yet" if on_its_way else ""

    def judged(process: Process) -> Process:
        state, why, since, at_least, busy = judge(process, limits)
        if state is State.HUNG and (said := excuse(process)):
            state, why = State.SLOW, f"{why}; {said}"
        standing = standing_loop(process)
        positions = tuple(
            in_loop(
                msgspec.structs.replace(
                    one, since=since_of(process, one.tid, since), at_least=at_least, busy=one.tid in busy
                ),
                standing,
                one.tid in busy,
            )
            for one in process.positions
        )
        return msgspec.structs.replace(process, state=state, state_why=why, since=since, positions=positions)

    return msgspec.structs.replace(collection, processes=tuple(map(judged, collection.processes)))


def throttled_share(process: Process) -> float:
    """Of the quota's periods, the share in which threads had to wait: between two samples, or of all if that is more.

    0 without a quota. A rank that sleeps just now has no periods, or hardly any.
    """
    groups = [sample.cgroup for sample in process.samples if sample.cgroup]
    if not groups or groups[-1].cpus <= 0:
        return 0.0
    return max(_throttled_now(process), groups[-1].throttled / max(1, groups[-1].periods))


def _throttled_now(process: Process) -> float:
    """The share between the two samples; 0 where little ran, or wanted to, as that tells nothing."""
    groups = [sample.cgroup for sample in process.samples if sample.cgroup]
    periods = groups[-1].periods - groups[0].periods if groups else 0
    return (groups[-1].throttled - groups[0].throttled) / periods if periods >= _FEW_PERIODS else 0.0


def waits_for_autotuner(process: Process) -> bool:
    """Whether a thread ends an iterator of tf.data, and the iterator's autotuner sleeps on.

    The autotuner is woken before the iterator counts as cancelled. If it looks in between, it sleeps again, until its
    next turn. Source: `CancellationManager::StartCancelWithStatus` and `Model::OptimizeLoop` of TensorFlow 2.
    """
    return bool(threads_with(process, Role.INPUT_END, idle=True) and threads_with(process, Role.TUNER, idle=True))


def ends_of(processes: Iterable[Process]) -> dict[tuple[str, str], Connection]:
    """Connections by their own and the other end's address: the key turned round gives the other end."""
    return {(one.local, one.remote): one for process in processes for one in process.connections}


def _on_its_way(collection: Collection) -> Iterator[str]:
    """Of the connections between ranks: where the network holds data, until nobody has acknowledged it for seconds.

    A process that stands still does not hold data up: its kernel acknowledges. Data may also wait to be sent, after
    losses, while nothing is under way. Where the other end has no room, that is for a process that does not read, and
    counts for nothing.
    """
    ends = ends_of(collection.processes)
    for process in collection.processes:
        for connection in process.connections:
            if not connection.peer or connection.peer == process.rank:
                continue
            other = ends.get((connection.remote, connection.local))
            if connection.unacked and connection.backoff < UNANSWERED:
                again = f", sent again {connection.backoff} times" if connection.backoff else ""
                yield f"from {process.rank} to {connection.peer} is on its way{again}"
            elif connection.unsent and not connection.unacked and other and not other.unread:
                yield f"from {process.rank} to {connection.peer} waits to be sent"
