"""Where every thread of a process stands. Pure.

    process = classify(process, names)          # fills Process.positions, one a thread in the same order
    position = main_position(process)           # where the process stands, None where nothing is known
    for thread, position in threads_with(process, Role.COLLECTIVE): ...
    position_of(process, tid)

`threads_with` leaves out threads that are idle by nature (`Role.IDLE`, `Role.PROXY`) unless one
of these is asked for or `idle=True`. All of them read `Process.positions`, and classify where it is empty.

Stacks are read by `diagnostics.stacks.symbols`, the only place that knows what functions of libraries are called. What
the kernel says of a thread's system call adds the object (peer, file, owner of the mutex), and is all there is where no
stack could be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from diagnostics.model import (
    BlockingCall,
    Collection,
    Collective,
    Coroutine,
    Frame,
    Position,
    Process,
    Role,
    Thread,
    ThreadSample,
    WaitKind,
)
from diagnostics.redact import redact_text
from diagnostics.stacks.blocked import KINDS, Names, name_of, names_of, wanted_locks, words
from diagnostics.stacks.held import holder_by_source
from diagnostics.stacks.spoken import partner_is_to, spoken
from diagnostics.stacks.stand import Stand, stand_of
from diagnostics.stacks.symbol import Owner
from diagnostics.stacks.symbols import owner_of

NO_NAMES: Names = {}
KERNEL = "[kernel]"
"""File of a frame that is a kernel function: `wchan`, `/proc/PID/stack`."""
QUIET = frozenset({Role.IDLE, Role.PROXY})
"""Roles of threads that support nothing."""

OVER_ALL_WORKERS = "a step over all workers"
ANY_COLLECTIVE = ("Work.wait", "join()")
"""Operations that wait for a collective of whatever kind."""
_FILES = (WaitKind.SOCKET, WaitKind.PIPE, WaitKind.FILE, WaitKind.TERMINAL)
"""Kinds that a descriptor may be of, which the kernel knows better."""
_OBJECTS = frozenset(KINDS.values())
"""Kinds whose object, where it is known, says all."""


def classify(process: Process, names: Names = NO_NAMES) -> Process:
    """With a position for each thread, in the same order. `names`: ranks of the host's processes, for the words."""
    calls = {call.tid: call for call in process.blocking_calls}
    samples = {thread.tid: thread for thread in process.samples[-1].threads} if process.samples else {}
    stands = [_stand(thread, samples.get(thread.tid), thread.tid in calls) for thread in process.threads]
    if any(stand.serves_many for stand in stands):
        stands = [_over_all_workers(stand) if stand.shared else stand for stand in stands]
    holder = next((index for index, thread in enumerate(process.threads) if thread.holds_gil), -1)
    gil = _Holder(process.threads[holder].tid, stands[holder].operation) if holder >= 0 else _Holder()
    positions = tuple(
        _with_coroutine(_position(thread, stand, calls.get(thread.tid), process, names, gil), process)
        for thread, stand in zip(process.threads, stands, strict=True)
    )
    return msgspec.structs.replace(process, positions=positions)


class _Holder(NamedTuple):
    """The thread that holds the interpreter lock, and what it does."""

    tid: int = 0
    operation: str = ""


def _stand(thread: Thread, sample: ThreadSample | None, blocked: bool) -> Stand:
    frames = thread.frames or ((Frame(sample.wchan, KERNEL, native=True),) if sample and sample.wchan else ())
    stand = stand_of(frames)
    runs = stand.waits is WaitKind.UNKNOWN and not blocked and sample is not None and sample.state == "R"
    return stand._replace(waits=WaitKind.NOTHING) if runs else stand


def _over_all_workers(stand: Stand) -> Stand:
    """A step that a framework shares out among workers: it waits in no thread of the caller's."""
    if stand.waits not in (WaitKind.CONDITION, WaitKind.UNKNOWN):
        return stand
    roles = tuple(dict.fromkeys((*stand.roles, Role.COLLECTIVE)))
    return stand._replace(operation=OVER_ALL_WORKERS, waits=WaitKind.COLLECTIVE, roles=roles)


def classify_all(collection: Collection) -> Collection:
    """Every process of a collection, with the ranks' names in the words."""
    names = names_of(collection)
    return msgspec.structs.replace(
        collection, processes=tuple(classify(process, names) for process in collection.processes)
    )


def _position(
    thread: Thread, stand: Stand, call: BlockingCall | None, process: Process, names: Names, gil: _Holder
) -> Position:
    waits = _kind(stand, call, process)
    holder = call.holder if call and call.kind == "mutex" else gil.tid if waits is WaitKind.GIL else 0
    by_source = holder_by_source(process, thread.tid) if waits is WaitKind.LOCK and not holder else None
    collective = _collective(process, stand) if Role.COLLECTIVE in stand.roles else None
    frame = stand.frame
    return Position(
        tid=thread.tid,
        operation=_named(stand, collective, process) or (call.call if call else ""),
        function=frame.function if frame else "",
        file=frame.file if frame else "",
        line=frame.line if frame else 0,
        own=stand.owner is Owner.USER,
        waits=waits,
        waits_for=by_source.words if by_source else _waits_for(waits, stand, call, process, names, gil),
        limited=stand.limited,
        roles=stand.roles,
        group=collective.group if collective else "",
        number=collective.seq if collective else -1,
        holder=by_source.tid if by_source else holder if holder != thread.tid else 0,
    )


_FOR_TASKS = ("_asyncio.Task", "_GatheringFuture")


def _awaits_tasks(one: Coroutine) -> bool:
    """Whether it waits for the end of other tasks: then these are what it is about."""
    return one.awaits in _FOR_TASKS or one.frames[-1].file.endswith("asyncio/taskgroups.py")


def _with_coroutine(position: Position, process: Process) -> Position:
    """A loop that sleeps stands where the program's own coroutine does: one that awaits no other task, if any does."""
    if Role.EVENT_LOOP not in position.roles or not process.coroutines:
        return position
    stands = [(one, stand_of(one.frames)) for one in process.coroutines]
    own = [(one, stand.frame) for one, stand in stands if stand.owner is Owner.USER and stand.frame]
    if not own:
        return position
    one, frame = min(own, key=lambda pair: _awaits_tasks(pair[0]))
    inner = one.frames[-1]
    awaits = f", which awaits {inner.function}" if owner_of(inner) is Owner.STANDARD else ""
    return msgspec.structs.replace(
        position, function=frame.function, file=frame.file, line=frame.line, own=True,
        waits_for=f"its {one.task}{awaits}; in all {len(process.coroutines)} suspended",
    )  # fmt: skip


def _kind(stand: Stand, call: BlockingCall | None, process: Process) -> WaitKind:
    """As the stack says, or as the kernel does where that is more."""
    waits = stand.waits
    if call and call.owner and not call.holder and waits is WaitKind.UNKNOWN:
        return WaitKind.LOCK
    if call is None or call.kind not in KINDS:
        return waits
    if Role.EVENT_LOOP in stand.roles and call.what.startswith("socket:[") and call.others in ((), (process.pid,)):
        return WaitKind.CONDITION  # a loop that only its own threads can wake
    kind = KINDS[call.kind]
    refined = waits in (WaitKind.WORLD, WaitKind.UNKNOWN) or (waits in _FILES and kind in _FILES)
    return kind if refined or (kind is WaitKind.LOCK and waits is not WaitKind.GIL) else waits


_NOTIFIES = {
    "Queue.put": "room in a queue, which is full",
    "Queue.get": "an item of a queue, which is empty",
    "Barrier.wait": "the others at a barrier",
    "pthread_barrier_wait": "the others at a barrier",
    "Semaphore.acquire": "a slot of a semaphore, all of which are taken",
    "Event.wait": "an event to be set",
    "Queue.join": "all items of a queue to be marked as done",
    "JoinableQueue.join": "all items of a queue to be marked as done",
    **dict.fromkeys(("Future.result", "Future.wait", "futures.wait", "Executor.map"), "the result of a future"),
    **dict.fromkeys(("AsyncResult.get", "Pool.map", "Pool.starmap", "Pool.apply", "Pool.imap"), "a pool's result"),
}
"""What a notification is for, where the operation tells it."""


def _waits_for(
    waits: WaitKind, stand: Stand, call: BlockingCall | None, process: Process, names: Names, gil: _Holder
) -> str:
    if waits is WaitKind.NOTHING:
        return ""
    said = words(call, process, names) if call else ""
    if waits is WaitKind.GIL:
        by = f", which thread {gil.tid}{name_of(process, gil.tid)} holds" if gil.tid else ""
        return f"{waits.words}{by}" + (f" in {gil.operation}" if by and gil.operation else "")
    if waits is WaitKind.UNKNOWN:
        return said or ("a lock or a notification" if call and call.kind == "futex" else "")
    if Role.FILE_LOCK in stand.roles and (lock := _lock(process)):
        return lock
    if waits in _OBJECTS:
        fits = call and (call.owner or KINDS.get(call.kind) is waits)
        return said if said and fits else waits.words
    if waits is WaitKind.COLLECTIVE and (owed := partner_is_to(stand.operation)):
        return f"its partner, which is to {owed}"
    if waits is WaitKind.INPUT:
        return waits.words
    if Role.KEY in stand.roles:
        return _key(call, process)
    within = f", in {stand.detail}" if stand.detail else ""
    what = _NOTIFIES.get(stand.operation, waits.words) if waits is WaitKind.CONDITION and not said else waits.words
    return f"{what}{within}" + (f": {said}" if said else "")


def _key(call: BlockingCall | None, process: Process) -> str:
    """Which store lacks the key, as far as the connection to it tells."""
    address = call.what.partition(" -> ")[2] if call and call.kind == "socket" else ""
    if not address:
        return "a key of a store"
    peer = call.peer if call and call.peer != process.rank else ""
    return f"a key of the store at {redact_text(address)}" + (f", which {peer} serves" if peer else "")


def blocked_words(call: BlockingCall, process: Process, names: Names) -> str:
    """What a blocked thread waits for: as the kernel tells it, or by its stack where the kernel cannot know."""
    position = position_of(process, call.tid)
    return words(call, process, names) or (position.waits_for if position else "") or "a lock or a notification"


def _lock(process: Process) -> str:
    """The lock on a file that the process waits for, with who has it."""
    wanted = next(iter(wanted_locks(process, asks_again=True)), None)
    if wanted is None:
        return ""
    by = ", ".join(f"process {pid}" for pid in wanted.holders)
    return f"a lock on {redact_text(wanted.path)}, which " + (f"{by} has" if by else "nobody has who may be seen")


def recorded_position(process: Process) -> Position | None:
    """Where a rank stands by what its framework recorded or logged: in the newest collective that is not completed."""
    newest = _newest([one for one in process.collectives if one.state != "completed"])
    if newest is None:
        return None
    stand = stand_of(newest.frames) if newest.frames else None
    frame = stand.frame if stand and stand.owner is Owner.USER else None
    return Position(
        operation=spoken(newest.op),
        function=frame.function if frame else "",
        file=frame.file if frame else "",
        line=frame.line if frame else 0,
        own=frame is not None,
        waits=WaitKind.COLLECTIVE,
        waits_for=WaitKind.COLLECTIVE.value,
        roles=(Role.COLLECTIVE,),
        group=newest.group,
        number=newest.seq,
    )


def _collective(process: Process, stand: Stand) -> Collective | None:
    """The one that a rank stands in, where its framework recorded it: the newest that has not completed."""
    unfinished = [one for one in process.collectives if one.state != "completed"]
    if len({one.group for one in unfinished}) > 1:
        unfinished = [one for one in unfinished if _same(one.op, stand.operation)]
        unfinished = [one for one in unfinished if _is_called_at(one, stand.frame)] or unfinished
    return _newest(unfinished)


def _named(stand: Stand, collective: Collective | None, process: Process) -> str:
    """What a wait for a collective of whatever kind is for, where only one is under way."""
    open_ones = sum(one.state != "completed" for one in process.collectives)
    if collective and open_ones == 1 and stand.operation in ANY_COLLECTIVE:
        return spoken(collective.op)
    return stand.operation


def _is_called_at(collective: Collective, frame: Frame | None) -> bool:
    return frame is not None and any(
        (one.function, one.line) == (frame.function, frame.line) and one.file.endswith(frame.file)
        for one in collective.frames
    )


def _newest(collectives: Sequence[Collective]) -> Collective | None:
    """The last called, or else the last of a group; None where that is not known: numbers of several do not compare.

    A group that was formed anew under its name numbers from 1 again.
    """
    if collectives and all(one.called_at >= 0 for one in collectives):
        return max(collectives, key=lambda one: (one.called_at, one.seq))
    return max(collectives, key=lambda one: one.seq) if len({one.group for one in collectives}) == 1 else None


def _same(recorded: str, operation: str) -> bool:
    plain = [spoken(name).replace("_", "") for name in (recorded, operation)]
    return bool(plain[1]) and (plain[0].startswith(plain[1]) or plain[1].startswith(plain[0]))


def _positions(process: Process) -> tuple[Position, ...]:
    return process.positions if len(process.positions) == len(process.threads) else classify(process).positions


def pairs(process: Process) -> Iterator[tuple[Thread, Position]]:
    """Each thread with its position."""
    return zip(process.threads, _positions(process), strict=True)


def position_of(process: Process, tid: int) -> Position | None:
    return next((position for position in _positions(process) if position.tid == tid), None)


def threads_with(process: Process, *roles: Role, idle: bool = False) -> tuple[tuple[Thread, Position], ...]:
    """The threads that have one of these roles."""
    idle = idle or bool(QUIET.intersection(roles))
    return tuple(pair for pair in pairs(process) if pair[1].has(*roles) and (idle or not is_idle(pair[1])))


def is_idle(position: Position) -> bool:
    """Whether the thread is idle by nature, so that its standing still says nothing.

    A library's helper that runs the program's own code is at work for it: the handler of a remote call.
    """
    quiet = QUIET.intersection(position.roles)
    return bool(quiet) and not (quiet == {Role.PROXY} and position.own)


_SIGNIFICANT = (
    Role.COLLECTIVE, Role.STEP, Role.BARRIER, Role.RENDEZVOUS, Role.DEVICE, Role.DEVICE_LAUNCH,
    Role.INPUT_NEXT, Role.TEARDOWN, Role.SAVE,
)  # fmt: skip
_ATTENDS = (WaitKind.JOIN, WaitKind.CONDITION)


def main_position(process: Process) -> Position | None:
    """Where the process stands: its main thread, unless that is idle, or only waits for a thread that tells more."""
    positions = _positions(process)
    if not positions:
        return recorded_position(process)
    main = next((p for p in positions if p.tid == process.pid), None) or _named_main(process, positions)
    others = (position for position in positions if position is not main and not is_idle(position))
    if main and not is_idle(main):
        attends = main.waits in _ATTENDS or main.has(Role.EVENT_LOOP, Role.POOL_WAIT)
        if not attends or main.has(*_SIGNIFICANT):
            return main
        return next((p for p in others if p.has(*_SIGNIFICANT) and p.own >= main.own), main)
    best = max(others, key=_tells, default=main or positions[0])
    return best if any(_tells(best)) or main is None else main


def shows_main(process: Process) -> bool:
    """Whether its main thread can be among those known. Where a paste by py-spy begins later, neither the process is
    told, so that its first thread's number stands for it, nor has that thread the main one's name."""
    first = next((thread for thread in process.threads if thread.tid == process.pid), None)
    return process.dump != "py-spy" or first is None or first.name in ("", "MainThread")


def _named_main(process: Process, positions: tuple[Position, ...]) -> Position | None:
    named = [thread.name == "MainThread" for thread in process.threads]
    return positions[named.index(True)] if True in named else positions[0]


def _tells(position: Position) -> tuple[bool, bool, bool]:
    return position.has(*_SIGNIFICANT), position.own, bool(position.operation)
