"""Does a process get on? What moved between its first and its last sample, told from what only looks like moving. Pure.

CPU time alone is no progress: a thread that waits for a device, polls a store or sleeps in a loop burns it as well.
What counts is that the position changes, or that something outside of the process does: its files, connections, disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from diagnostics.analyze.clocks import wakes_by_clock
from diagnostics.analyze.loops import standing_loop
from diagnostics.analyze.progress import Limits, storage_answers
from diagnostics.analyze.stillness import after_stacks, did_not_run, ran_by_itself, stood_still, thread_in
from diagnostics.model import Frame, Position, Process, Role, Sample, Thread, WaitKind
from diagnostics.stacks.position import is_idle, main_position

_SPINS = (Role.DEVICE, Role.COLLECTIVE, Role.BARRIER, Role.RENDEZVOUS, Role.FILE_LOCK)
"""Waits whose libraries spin or poll: CPU and bytes there are those of the waiting."""

_POLLS = (Role.RENDEZVOUS, Role.FILE_LOCK)
_TOGETHER = (Role.COLLECTIVE, Role.BARRIER, Role.STEP)
_POLLED_BYTES = 65536.0
"""Bytes a second over the sockets of a rank that polls a store, or stands in a collective while its runtime tells that
it is alive, below which that is all that they are."""

DEVICE_SWITCHES = 2.0
"""Context switches a second of a thread that waits for a device, from which the host gets on: between two waits it
takes locks and wakes others. An H100's host that trained had 1,194, one behind a kernel that does not end none."""

POOL_WAKES = 20.0
"""Wake-ups a second of a pool's thread by which it is known to be given work. One of XLA's that computed had 360 to 550
on two busy cores; those of stuck jobs none."""

BETWEEN_SLEEPS = 0.005
"""CPU seconds a second from which a loop of short sleeps does something between them. A loop that asks for a file every
half a second took a tenth of this, one that hashes 200 kB every 20 ms three times as much."""

A_LOOK = 1e-4
"""CPU seconds below which a thread that wakes only looks and sleeps again. A loop of `sleep(0.001)` around a flag
took 2e-5 a round, one that hashes 200 kB fifteen times this limit."""
_LOOKED_AT = 64
"""Bytes that it reads for that: SQLite's wait for a lock reads 16 each time."""

WOKEN = 3
"""Times that others end a wait before that is work; a signal may end one, too."""
_WORKS = (WaitKind.NOTHING, WaitKind.UNKNOWN)


class Movement(NamedTuple):
    """`words`: what moved, "" for nothing. `busy`: threads that burn CPU in a wait, and stand."""

    words: str
    busy: tuple[int, ...] = ()


def movement(process: Process, limits: Limits) -> Movement:
    if len(process.samples) < 2:
        return Movement("")
    first, last = process.samples[0], process.samples[-1]
    seconds = max(last.at - first.at, 1e-3)
    positions = {position.tid: position for position in process.positions}
    standing = standing_loop(process)
    round_and_round = standing.loop.tid if standing else 0
    burning = tuple(_busy(process, first, last, limits))
    spinning = tuple(tid for tid, _ in burning if tid == round_and_round or _waits_busily(positions.get(tid)))
    if last.events > first.events >= 0:
        return Movement(f"{last.events - first.events} recorder events in {seconds:.1f} s")
    if not standing and (changed := position_changed(process)):
        return Movement(changed)
    if not standing and (worked := _works_between_sleeps(process)):
        return Movement(worked)
    starving = _holder_that_starves(process)
    for tid, cpu in burning:
        if starving and tid == starving:
            continue
        if tid != round_and_round and (tid not in spinning or _gets_on(positions[tid], tid, first, last)):
            return Movement(f"{cpu:.2f} s of CPU in {seconds:.1f} s", ())
    if worked := _pool_works(process, first, last, limits):
        return Movement(worked)
    busy = tuple(dict.fromkeys((*spinning, *(tid for tid, _ in burning if tid == starving))))
    return Movement(_outside(process, first, last, limits, standing is not None), busy)


def _busy(process: Process, first: Sample, last: Sample, limits: Limits) -> Iterator[tuple[int, float]]:
    """Threads that burn CPU, but those idle by nature, each with its seconds."""
    idle = {position.tid for position in process.positions if is_idle(position)}
    before = {thread.tid: thread for thread in first.threads}
    seconds = max(last.at - first.at, 1e-3)
    for thread in last.threads:
        cpu = thread.cpu - (before[thread.tid].cpu if thread.tid in before else 0.0)
        if thread.tid not in idle and cpu / seconds > limits.moving_cpu:
            yield thread.tid, cpu


def _pool_works(process: Process, first: Sample, last: Sample, limits: Limits) -> str:
    """The CPU of threads that are idle by nature, and are woken again and again by whoever has work for them."""
    seconds = max(last.at - first.at, 1e-3)
    calls = {call.tid: call for call in process.blocking_calls}
    waits = [one for one in process.positions if is_idle(one) and one.waits in (WaitKind.CONDITION, WaitKind.NOTHING)]
    cpu = 0.0
    for position in waits:
        before, after, call = thread_in(first, position.tid), thread_in(last, position.tid), calls.get(position.tid)
        if before and after and not position.limited and not (call and call.limited):
            woken = (after.voluntary - before.voluntary) / seconds
            cpu += after.cpu - before.cpu if woken > POOL_WAKES else 0.0
    return f"{cpu:.2f} s of CPU of its pools in {seconds:.1f} s" if cpu / seconds > limits.moving_cpu else ""


def _holder_that_starves(process: Process) -> int:
    """The thread that keeps the interpreter lock in native code while another asks for it; 0 for none.

    Python's own code gives the lock up every 5 ms (Python/ceval_gil.c), so that whoever asks gets on between two
    samples.
    """
    holder = next((thread for thread in process.threads if thread.holds_gil), None)
    if holder is None or not any(map(_is_extension, _below_python(holder))):
        return 0
    asking = [
        one.tid for one in process.positions if one.waits is WaitKind.GIL and not is_idle(one) and one.tid != holder.tid
    ]
    same = [tid for tid in asking if _stands_in_place(process, tid)]
    return holder.tid if same and _stands_in_place(process, holder.tid) else 0


def _below_python(thread: Thread) -> tuple[Frame, ...]:
    last = max((index for index, frame in enumerate(thread.frames) if not frame.native), default=-1)
    return thread.frames[last + 1 :]


def _is_extension(frame: Frame) -> bool:
    name = frame.file.rpartition("/")[2]
    return bool(name) and not name.startswith(("python", "libpython", "libc.", "libc-", "libpthread", "ld-", "["))


def _stands_in_place(process: Process, tid: int) -> bool:
    before, now = _python(process.threads, tid), _python(process.later, tid)
    return bool(before) and (not process.later or before == now)


def _waits_busily(position: Position | None) -> bool:
    """Whether its stack shows a wait, so that its CPU is that of the waiting."""
    return position is not None and (position.has(*_SPINS) or position.waits not in _WORKS)


def _gets_on(position: Position, tid: int, first: Sample, last: Sample) -> bool:
    """Of a thread that is busy in a wait. One that only waits for a device does not switch."""
    before, after = thread_in(first, tid), thread_in(last, tid)
    if before is None or after is None:
        return False
    switches = (after.voluntary - before.voluntary) / max(last.at - first.at, 1e-3)
    if position.has(Role.DEVICE):
        return switches > DEVICE_SWITCHES
    # A loop of short waits that does much between them works; one that spins in its wait is not seen to sleep.
    return not position.has(*_SPINS) and position.waits is not WaitKind.TIME and switches > 10 * DEVICE_SWITCHES


def _by_itself(main: Position, first: Sample, last: Sample) -> str:
    """What the thread where it stands did between its waits: a loader's batch through a pipe, work between sleeps."""
    before, after = thread_in(first, main.tid), thread_in(last, main.tid)
    if before is None or after is None or after.voluntary == before.voluntary or main.waits is WaitKind.CHILD:
        return ""
    seconds = max(last.at - first.at, 1e-3)
    sleeps = main.waits is WaitKind.TIME
    wakes = after.voluntary - before.voluntary
    moved = last.io_bytes - first.io_bytes
    looks = sleeps and last.io_written == first.io_written >= 0 and moved <= _LOOKED_AT * wakes
    if first.io_bytes >= 0 and moved > 0 and not looks:
        return f"{moved} bytes read and written in {seconds:.1f} s"
    cpu = after.cpu - before.cpu
    worked = sleeps and cpu / seconds > BETWEEN_SLEEPS and cpu / wakes > A_LOOK
    return f"{cpu:.2f} s of CPU between its sleeps in {seconds:.1f} s" if worked else ""


def _woken(process: Process, main: Position) -> str:
    """How often others ended the wait of the thread where it stands, so that it waits anew at the same place; "".

    Counted from the third sample on: taking stacks, after the second, wakes a thread, too. A lock's waiter that is
    woken and does not get it has not got on.
    """
    times = wakes(process, main)
    if times < WOKEN:
        return ""
    undisturbed = after_stacks(process)
    seconds = undisturbed[-1].at - undisturbed[0].at
    return f"its main thread was woken {times} times in {seconds:.1f} s"


def waits_for_others(process: Process, position: Position) -> bool:
    """Whether only others end the wait of this thread: it has no limit, and is for no lock, which many may want."""
    return position.waits is not WaitKind.LOCK and _waits_without_limit(process, position, ("futex",))


def _waits_without_limit(process: Process, position: Position, kinds: Sequence[str]) -> bool:
    call = next((one for one in process.blocking_calls if one.tid == position.tid), None)
    by_itself = position.waits in (WaitKind.GIL, WaitKind.TIME) or position.limited
    return call is not None and call.kind in kinds and not call.limited and not by_itself


def wakes(process: Process, position: Position) -> int:
    """How often others ended a wait of this thread, from the third sample on."""
    undisturbed = after_stacks(process)
    if not undisturbed or not waits_for_others(process, position) or stood_still(process, position.tid):
        return 0
    before, after = (thread_in(undisturbed[index], position.tid) for index in (0, -1))
    return after.voluntary - before.voluntary if before and after else 0


def _outside(process: Process, first: Sample, last: Sample, limits: Limits, in_loop: bool) -> str:
    seconds = max(last.at - first.at, 1e-3)
    main = main_position(process)
    polls = in_loop or (main is not None and (main.has(*_POLLS) or _leaves_it_to_a_pool(process, main)))
    moved = last.socket_bytes - first.socket_bytes
    waits = main is not None and main.has(*_TOGETHER) and stood_still(process, main.tid)
    if moved / seconds > (_POLLED_BYTES if polls or waits else limits.moving_bytes):
        return f"{moved} bytes over its sockets in {seconds:.1f} s"
    stored = last.disk_bytes - first.disk_bytes
    if first.disk_bytes >= 0 and stored / seconds > limits.moving_disk:
        return f"{stored} bytes of storage in {seconds:.1f} s"
    if main is not None and not ran_by_itself(process, main.tid) and _only_clocks_run(process, main):
        return "its storage answers" if storage_answers(first, last) else ""
    offsets = abs(last.file_offsets - first.file_offsets) if first.file_offsets >= 0 else 0
    if offsets and _its_own(offsets, first.io_bytes, last.io_bytes) and not polls:
        return f"its files moved by {offsets} bytes in {seconds:.1f} s"
    if main is not None and not polls and (worked := _by_itself(main, first, last)):
        return worked
    if main is not None and (woken := _woken(process, main)):
        return woken
    logged = last.log_bytes - first.log_bytes
    if logged > 0 and _its_own(1, first.io_written, last.io_written) and not polls:
        return f"its log grew by {logged} bytes in {seconds:.1f} s"
    return "its storage answers" if storage_answers(first, last) else ""


def _only_clocks_run(process: Process, main: Position) -> bool:
    """Whether the main thread waits for others, and none ran but those that wake by the clock: a monitor, a heartbeat.

    What these write says nothing of the work. Beside a rank in a collective no thread's lines do; a step of
    TensorFlow's may read its own input.
    """
    if main.has(Role.COLLECTIVE, Role.BARRIER):
        return True
    if not _waits_without_limit(process, main, ("futex", "mutex", "socket", "pipe", "file")):
        return False
    if main.waits is WaitKind.JOIN and not _has_one_that_stands(process, main):
        return False
    calls = {call.tid: call for call in process.blocking_calls}
    ran = [one for one in process.positions if one.tid != main.tid and ran_by_itself(process, one.tid)]
    return all(is_idle(one) or wakes_by_clock(one, calls.get(one.tid)) for one in ran)


def _has_one_that_stands(process: Process, main: Position) -> bool:
    """Whether a thread beside the one that joins stands at a lock, or in a compiled program in any wait for others.

    Python's programs keep threads for work that seldom comes, which wait for it and stand as well.
    """
    others = [one for one in process.positions if one.tid != main.tid and not is_idle(one)]
    compiled = all(frame.native for thread in process.threads for frame in thread.frames)
    return any(
        (compiled or one.waits is WaitKind.LOCK)
        and _waits_without_limit(process, one, ("futex", "mutex"))
        and stood_still(process, one.tid)
        for one in others
    )


def _leaves_it_to_a_pool(process: Process, main: Position) -> bool:
    """Whether it stands still until its pool has an answer: what is written meanwhile is its children's.

    The kernel adds what a child has read and written to its parent once it has ended (task_io_accounting_add).
    """
    at_work = [one.tid for one in process.positions if not is_idle(one)]
    return main.has(Role.POOL_WAIT) and all(stood_still(process, tid) for tid in at_work)


def _its_own(moved: int, before: int, now: int) -> bool:
    """Whether a process that read and wrote so much moved these bytes: other processes share its files and its log."""
    return before < 0 or now - before >= moved


def position_changed(process: Process) -> str:
    """Where frames were read twice: that its main thread stands in another place now; "" else."""
    before, now = _python(process.threads, process.pid), _python(process.later, process.pid)
    if not before or not now or before == now or _waits_below(process, before, now):
        return ""
    return f"its main thread was in {_said(before)}, and is in {_said(now)} now"


def _works_between_sleeps(process: Process) -> str:
    """Where a main thread that sleeps by the clock, in no loop that only waits, has other variables than before."""
    main = main_position(process)
    if main is None or main.waits is not WaitKind.TIME or stood_still(process, main.tid):
        return ""
    seen = {sample.variables for sample in process.samples if sample.variables and not sample.loops}
    return "its variables change between its sleeps" if len(seen) > 1 else ""


def _waits_below(process: Process, before: tuple[Frame, ...], now: tuple[Frame, ...]) -> bool:
    """Whether it still waits where it did, and only a signal's handler runs, or ran, on top of that."""
    below, above = sorted((before, now), key=len)
    at = next((one for one in process.positions if one.tid == process.pid), None)
    waits = at is not None and at.waits is WaitKind.LOCK and not at.limited and below is before
    return above[: len(below)] == below and (waits or stood_still(process, process.pid))


def _python(threads: Sequence[Thread], tid: int) -> tuple[Frame, ...]:
    main = next((thread for thread in threads if thread.tid == tid), None)
    return tuple(frame for frame in main.frames if not frame.native) if main else ()


def _said(frames: Sequence[Frame]) -> str:
    return f"{frames[-1].function} ({frames[-1].file.rpartition('/')[2]}:{frames[-1].line})"


def still_since(process: Process, positions: Sequence[Position]) -> tuple[float, bool]:
    """(seconds that these threads have stood at the last sample, whether that is a lower bound); -1 where not known.

    By when each ran last, as the kernel has it. Threads that poll run every moment: then since the connections are
    quiet, or its files were last written; at least since the first sample.
    """
    if not process.samples:
        return -1.0, False
    last = process.samples[-1]
    main = main_position(process)
    if main and wakes(process, main) and (at := thread_in(last, main.tid)):
        return at.last_ran, False  # its wait has ended meanwhile, and this is another one
    calls = {call.tid: call for call in process.blocking_calls}
    by_clock = {p.tid for p in positions if not did_not_run(process, p.tid) and wakes_by_clock(p, calls.get(p.tid))}
    if main and main.tid not in by_clock:  # a monitor beside it tells nothing
        positions = [position for position in positions if position.tid not in by_clock]
    ran = [one.last_ran for position in positions if (one := thread_in(last, position.tid)) and one.last_ran >= 0]
    if ran and all(did_not_run(process, position.tid) for position in positions):
        return min(ran), False
    quiet = [one.quiet for one in process.connections if one.quiet >= 0 and one.state == "ESTABLISHED"]
    known = [age for age in (*quiet, last.file_age) if age >= 0]
    watched = last.at - process.samples[0].at
    return max(watched, min(known, default=0.0)), True
