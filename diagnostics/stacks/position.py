"""Where every thread of a process stands. Pure.

    process = classify(process, names)          # fills Process.positions, one a thread in the same order
    position = main_position(process)           # where the process stands, None where nothing is known
    for thread, position in threads_with(process, Role.COLLECTIVE): ...
    for thread, position in threads_waiting(process, WaitKind.GIL): ...
    position_of(process, tid)

`threads_with` and `threads_waiting` leave out threads that are idle by nature (`Role.IDLE`, `Role.PROXY`) unless one
of these is asked for or `idle=True`. All of them read `Process.positions`, and classify where it is empty.

Stacks are read by `diagnostics.stacks.symbols`, the only place that knows what functions of libraries are called. What
the kernel says of a thread's system call adds the object (peer, file, owner of the mutex), and is all there is where no
stack could be read.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from diagnostics.model import BlockingCall, Collection, Collective, Frame, Position, Process, Role, Thread, WaitKind
from diagnostics.stacks.blocked import KINDS, Names, name_of, names_of, words
from diagnostics.stacks.stand import Stand, stand_of
from diagnostics.stacks.symbol import Owner

NO_NAMES: Names = {}
KERNEL = "[kernel]"
"""File of a frame that is a kernel function: `wchan`, `/proc/PID/stack`."""
QUIET = frozenset({Role.IDLE, Role.PROXY})
"""Roles of threads that support nothing."""

_REFINED = (WaitKind.WORLD, WaitKind.UNKNOWN, WaitKind.SOCKET, WaitKind.PIPE, WaitKind.FILE)
"""Kinds that the kernel knows better."""
_OBJECTS = frozenset(KINDS.values())
"""Kinds whose object, where it is known, says all."""


def classify(process: Process, names: Names = NO_NAMES) -> Process:
    """With a position for each thread, in the same order. `names`: ranks of the host's processes, for the words."""
    calls = {call.tid: call for call in process.blocking_calls}
    last = {thread.tid: thread for thread in process.samples[-1].threads} if process.samples else {}
    holder = next((thread.tid for thread in process.threads if thread.holds_gil), 0)
    positions = []
    for thread in process.threads:
        sample = last.get(thread.tid)
        frames = thread.frames or ((Frame(sample.wchan, KERNEL, native=True),) if sample and sample.wchan else ())
        stand = stand_of(frames)
        call = calls.get(thread.tid)
        if stand.waits is WaitKind.UNKNOWN and call is None and sample and sample.state == "R":
            stand = stand._replace(waits=WaitKind.NOTHING)
        positions.append(_position(thread, stand, call, process, names, holder))
    return msgspec.structs.replace(process, positions=tuple(positions))


def classify_all(collection: Collection) -> Collection:
    """Every process of a collection, with the ranks' names in the words."""
    names = names_of(collection)
    return msgspec.structs.replace(
        collection, processes=tuple(classify(process, names) for process in collection.processes)
    )


def _position(
    thread: Thread, stand: Stand, call: BlockingCall | None, process: Process, names: Names, gil_holder: int
) -> Position:
    waits = stand.waits
    if call and call.kind in KINDS and (waits in _REFINED or (call.kind == "mutex" and waits is not WaitKind.GIL)):
        waits = KINDS[call.kind]
    holder = call.holder if call and call.kind == "mutex" else gil_holder if waits is WaitKind.GIL else 0
    collective = _collective(process, stand) if Role.COLLECTIVE in stand.roles else None
    frame = stand.frame
    return Position(
        tid=thread.tid,
        operation=stand.operation or (call.call if call else ""),
        function=frame.function if frame else "",
        file=frame.file if frame else "",
        line=frame.line if frame else 0,
        own=stand.owner is Owner.USER,
        waits=waits,
        waits_for=_waits_for(waits, stand, call, process, names, holder),
        limited=stand.limited,
        roles=stand.roles,
        group=collective.group if collective else "",
        number=collective.seq if collective else -1,
        holder=holder if holder != thread.tid else 0,
    )


def _waits_for(
    waits: WaitKind, stand: Stand, call: BlockingCall | None, process: Process, names: Names, holder: int
) -> str:
    if waits is WaitKind.NOTHING:
        return ""
    said = words(call, process, names) if call else ""
    if waits is WaitKind.GIL:
        by = f", which thread {holder}{name_of(process, holder)} holds" if holder else ""
        return f"{waits.value}{by}"
    if waits is WaitKind.UNKNOWN:
        return said or ("a lock or a notification" if call and call.kind == "futex" else "")
    if waits in _OBJECTS:
        return said or waits.value
    within = f", in {stand.detail}" if stand.detail else ""
    return f"{waits.value}{within}" + (f": {said}" if said else "")


def _collective(process: Process, stand: Stand) -> Collective | None:
    """The one that a rank stands in, where its framework recorded it: the newest that has not completed."""
    open_ = [one for one in process.collectives if one.state != "completed"]
    groups = {one.group for one in open_}
    if len(groups) > 1:
        open_ = [one for one in open_ if _same(one.op, stand.operation)]
    newest = max(open_, key=lambda one: one.seq, default=None)
    return newest if newest and len({one.group for one in open_}) == 1 else None


def _same(recorded: str, operation: str) -> bool:
    plain = [name.lower().rpartition(":")[2].replace("_", "") for name in (recorded, operation)]
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


def threads_waiting(process: Process, *kinds: WaitKind, idle: bool = False) -> tuple[tuple[Thread, Position], ...]:
    """The threads that wait for one of these."""
    return tuple(pair for pair in pairs(process) if pair[1].waits in kinds and (idle or not is_idle(pair[1])))


def is_idle(position: Position) -> bool:
    """Whether the thread is idle by nature, so that its standing still says nothing."""
    return not QUIET.isdisjoint(position.roles)


_TELLING = (
    Role.COLLECTIVE, Role.STEP, Role.BARRIER, Role.RENDEZVOUS, Role.DEVICE, Role.INPUT_NEXT, Role.TEARDOWN, Role.SAVE,
)  # fmt: skip
_ATTENDS = (WaitKind.JOIN, WaitKind.CONDITION)


def main_position(process: Process) -> Position | None:
    """Where the process stands: its main thread, unless that is idle, or only waits for a thread that tells more."""
    positions = _positions(process)
    if not positions:
        return None
    main = next((p for p in positions if p.tid == process.pid), None) or _named_main(process, positions)
    others = [position for position in positions if position is not main and not is_idle(position)]
    if main and not is_idle(main):
        attends = main.waits in _ATTENDS or main.has(Role.EVENT_LOOP, Role.POOL_WAIT)
        telling = [p for p in others if p.has(*_TELLING)] if attends and not main.has(*_TELLING) else []
        return telling[0] if telling else main
    return max(others, key=_tells, default=main or positions[0])


def _named_main(process: Process, positions: tuple[Position, ...]) -> Position | None:
    named = [thread.name == "MainThread" for thread in process.threads]
    return positions[named.index(True)] if True in named else positions[0]


def _tells(position: Position) -> tuple[bool, bool, bool]:
    return position.has(*_TELLING), position.own, bool(position.operation)
