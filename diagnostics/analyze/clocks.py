"""Which threads only wake by the clock and tell how it goes: a monitor, a heartbeat, a printer of statistics. Pure.

Such a one brings nothing that others wait for. What it brings in the end cannot be seen of a thread that sleeps; so it
is one only where it has been round twice while the others stood, and all that the process did meanwhile was to write.
"""

from __future__ import annotations

import re
from itertools import pairwise

from diagnostics.analyze.stillness import alone, did_not_run, same_counts, stood_still, thread_in
from diagnostics.model import BlockingCall, Collection, Position, Process, Role, State, WaitKind
from diagnostics.stacks.position import is_idle, main_position, pairs

_BRINGS = (Role.CALLBACK, Role.INPUT_MAKE, Role.POOL_TASK)
_ROUNDS = 2
SOON = 120.0
"""Seconds: a process that wakes by itself before that is not asleep for good."""
_TOLD_BY_SOURCE = (WaitKind.TIME, WaitKind.CONDITION, WaitKind.JOIN)
_WORD = re.compile(r"\b0x([0-9a-f]+)")
_ONE_CONDITION = 48
"""Bytes of a pthread_cond_t (glibc): its waiters wait at words of it."""


def only_sleeps(position: Position) -> bool:
    """Whether nothing but its sleep is known of the thread: a heartbeat looks like this, and who brings batches."""
    return position.waits is WaitKind.TIME and not position.has(*_BRINGS)


def wakes_by_clock(position: Position, call: BlockingCall | None) -> bool:
    """Whether it sleeps, or waits with a limit: then its waking says nothing of others."""
    timed = call is None or call.kind == "time" or call.limited
    return timed and (position.waits is WaitKind.TIME or position.limited)


def goes_round(process: Process, position: Position) -> bool:
    """Whether a thread of the program's own only sleeps, and has gone on meanwhile: it may yet bring something."""
    sampled = position.own and only_sleeps(position) and len(process.samples) > 1
    return sampled and not stood_still(process, position.tid)


def only_reports(process: Process, position: Position) -> bool:
    """Whether this thread of a process that hangs is such a one. Of several that sleep it is not told which writes."""
    by_clock = [one for _, one in pairs(process) if not is_idle(one) and one.waits is WaitKind.TIME]
    call = next((one for one in process.blocking_calls if one.tid == position.tid), None)
    if process.state is not State.HUNG or len(by_clock) != 1 or not only_sleeps(position) or call is None:
        return False
    first, last = process.samples[0], process.samples[-1]
    if not 0 < call.ends_in <= SOON or last.at - first.at < _ROUNDS * call.ends_in:
        return False
    before, after = thread_in(first, position.tid), thread_in(last, position.tid)
    if before is None or after is None or same_counts(before, after):
        return False
    wrote = last.io_written - first.io_written
    return first.io_written >= 0 and wrote > 0 and last.io_bytes - first.io_bytes == wrote


def only_tells(process: Process) -> bool:
    """Whether a process does no more, by its main thread, than to say by the clock how it goes: nobody gets a thing.

    Of Python the source of its loop tells it, of an event loop all its tasks, which were watched. Of compiled code it
    is known where both those that wait for room and those that wait for work stand at one condition.
    """
    main = main_position(process)
    if main is None or len(process.samples) < 2 or not alone(process.samples[0], process.samples[-1], main.tid):
        return False
    if process.tasks_watched:
        return process.tasks_watched.stand
    if main.waits in _TOLD_BY_SOURCE and any(loop.tells for loop in process.samples[-1].loops):
        return True
    return only_sleeps(main) and _both_sides_wait(process, main) and _wrote_alone(process)


def _wrote_alone(process: Process) -> bool:
    first, last = process.samples[0], process.samples[-1]
    wrote = last.io_written - first.io_written
    return first.io_written >= 0 and wrote == last.io_bytes - first.io_bytes and first.socket_bytes == last.socket_bytes


def _both_sides_wait(process: Process, main: Position) -> bool:
    """Whether threads wait for notifications of one condition in different functions of compiled code."""
    if any(not frame.native for thread in process.threads for frame in thread.frames):
        return False
    words = {call.tid: _word_of(call) for call in process.blocking_calls if call.kind == "futex" and not call.limited}
    waiting = sorted(
        (words[one.tid], one.function)
        for _, one in pairs(process)
        if one.own and one.tid != main.tid and one.waits is WaitKind.CONDITION and words.get(one.tid)
    )
    return any(next_ - word < _ONE_CONDITION and one != other for (word, one), (next_, other) in pairwise(waiting))


def _word_of(call: BlockingCall) -> int:
    found = _WORD.search(call.what)
    return int(found[1], 16) if found else 0


def loops_that_may_tell(collection: Collection) -> tuple[Process, ...]:
    """Event loops that seem to get on by no more than what they write, and that nothing outside of them can wake."""
    return tuple(process for process in collection.processes if _loop_may_tell(process, collection))


def _loop_may_tell(process: Process, collection: Collection) -> bool:
    main = main_position(process)
    call = next((one for one in process.blocking_calls if main and one.tid == main.tid), None)
    if process.state is not State.PROGRESSING or process.flight or len(process.samples) < 2:
        return False
    if main is None or not main.has(Role.EVENT_LOOP) or call is None or not call.limited:
        return False
    children = [one for one in collection.processes if one.parent == process.pid and one.host == process.host]
    known = {process.pid, *(one.pid for one in children)}
    alone = call.kind in ("socket", "several") and set(call.others) <= known
    if not alone or process.connections or process.listens or not all(map(_stands, children)):
        return False
    if not all(did_not_run(process, one.tid) for one in process.samples[-1].threads if one.tid != main.tid):
        return False
    return _wrote_alone(process) and process.samples[-1].io_written > process.samples[0].io_written


def _stands(process: Process) -> bool:
    """Whether it has not run, and does not sleep for a time."""
    threads = process.samples[-1].threads if process.samples else ()
    by_itself = any(call.limited or call.kind == "time" for call in process.blocking_calls)
    return bool(threads) and not by_itself and all(did_not_run(process, one.tid) for one in threads)
