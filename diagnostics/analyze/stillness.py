"""Which threads have not got on between the first and the last sample, by what the kernel counted. Pure.

One that did not run has not. One that ran may have run a signal's handler alone, a timer that prints: its wait goes on
below that, where nothing came that could have ended it.
"""

from __future__ import annotations

from diagnostics.model import BlockingCall, Process, Sample, ThreadSample

_A_STOP = 2
"""Switches of a thread that is stopped and goes on: it waits again for what it waited for."""
_A_STOP_TAKES = 1e-4
"""CPU seconds of it."""
_READS = ("read", "readv", "recvfrom", "recvmsg", "recvmmsg", "accept", "accept4")


_KEPT = 8
_tables: dict[int, tuple[Sample, dict[int, ThreadSample]]] = {}
"""Of the samples that were asked last, their threads by id: each is asked for every thread that it has."""


def thread_in(sample: Sample, tid: int) -> ThreadSample | None:
    global _tables
    known = _tables.get(id(sample))
    if known is None or known[0] is not sample:
        if len(_tables) >= _KEPT:
            _tables = {}  # another thread may be reading the old one
        known = _tables[id(sample)] = sample, {thread.tid: thread for thread in reversed(sample.threads)}
    return known[1].get(tid)


def same_counts(one: ThreadSample | None, other: ThreadSample | None) -> bool:
    return one is not None and other is not None and one.voluntary == other.voluntary and one.cpu == other.cpu


def did_not_run(process: Process, tid: int) -> bool:
    """Whether the thread was not scheduled at all."""
    seen = [thread_in(sample, tid) for sample in process.samples]
    counts = [(one.cpu, one.voluntary, one.involuntary) if one else None for one in seen]
    return len(counts) > 1 and counts[0] is not None and counts[0] == counts[-1]


def stood_still(process: Process, tid: int) -> bool:
    """Whether the thread's wait has not ended: it was not scheduled, or by nothing but signals."""
    return did_not_run(process, tid) or only_interrupted(process, tid)


def only_interrupted(process: Process, tid: int) -> bool:
    """Whether the thread ran, in a wait without a limit that cannot have ended meanwhile.

    A lock's or notification's, where no other thread of the process ran that could have given it; a read's, where no
    byte came. What Python calls again after a signal's handler is the same call (PEP 475).
    """
    if len(process.samples) < 2 or did_not_run(process, tid):
        return False
    call = next((one for one in process.blocking_calls if one.tid == tid), None)
    position = next((one for one in process.positions if one.tid == tid), None)
    if call is None or call.limited or (position is not None and position.limited):
        return False
    first, last = process.samples[0], process.samples[-1]
    if call.kind in ("futex", "mutex"):
        shared = call.others or " in " in call.what  # a file, or anonymous memory that forked processes have as well
        return not shared and alone(first, last, tid)
    return call.call in _READS and _nothing_came(process, call, first, last)


def alone(first: Sample, last: Sample, tid: int) -> bool:
    """Whether no other thread of the process ran, nor came or ended."""
    others = [one for one in first.threads if one.tid != tid]
    alike = {one.tid for one in first.threads} == {one.tid for one in last.threads}
    return alike and all(same_counts(one, thread_in(last, one.tid)) for one in others)


def _nothing_came(process: Process, call: BlockingCall, first: Sample, last: Sample) -> bool:
    """Whether a read cannot have returned with data. Sockets are counted apart from files and pipes."""
    if call.kind == "socket":
        link = next((one for one in process.connections if f"{one.local} -> {one.remote}" == call.what), None)
        quiet = first.socket_bytes == last.socket_bytes
        return link is not None and link.state == "ESTABLISHED" and not link.unread and quiet
    read = [sample.io_bytes - sample.io_written for sample in (first, last)]
    return call.kind == "pipe" and first.io_written >= 0 and read[0] == read[1]


def after_stacks(process: Process) -> tuple[Sample, ...]:
    """Samples that taking the stacks, after the second, has not disturbed: two at least, else ()."""
    return process.samples[2:] if len(process.samples) > 3 else ()


def ran_by_itself(process: Process, tid: int) -> bool:
    """Whether its wait has ended, or it ran by more than a stop for its stacks, which wakes it, too."""
    if len(process.samples) < 2 or stood_still(process, tid):
        return False
    undisturbed = after_stacks(process)
    seen = undisturbed or process.samples
    before, after = thread_in(seen[0], tid), thread_in(seen[-1], tid)
    if before is None or after is None or undisturbed:
        return not same_counts(before, after)
    return after.voluntary - before.voluntary > _A_STOP or after.cpu - before.cpu > _A_STOP_TAKES
