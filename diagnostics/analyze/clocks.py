"""Which threads only wake by the clock and tell how it goes: a monitor, a heartbeat, a printer of statistics. Pure.

Such a one brings nothing that others wait for. What it brings in the end cannot be seen of a thread that sleeps; so it
is one only where it has been round twice while the others stood, and all that the process did meanwhile was to write.
"""

from __future__ import annotations

from diagnostics.analyze.asleep import SOON
from diagnostics.analyze.stillness import same_counts, stood_still, thread_in
from diagnostics.model import BlockingCall, Position, Process, Role, State, WaitKind
from diagnostics.stacks.position import is_idle, pairs

_BRINGS = (Role.CALLBACK, Role.INPUT_MAKE, Role.POOL_TASK)
_ROUNDS = 2


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
