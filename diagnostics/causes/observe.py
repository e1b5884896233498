"""What causes ask of positions, asked once and in one place. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from diagnostics.analyze.clocks import goes_round, only_reports
from diagnostics.analyze.facts import Facts
from diagnostics.analyze.family import TOGETHER
from diagnostics.analyze.progress import is_server
from diagnostics.analyze.stillness import stood_still
from diagnostics.causes.base import Case
from diagnostics.model import GONE, BlockingCall, Position, Process, Role, State, Thread, WaitKind
from diagnostics.model import rank as identity
from diagnostics.stacks.held import holds_by_source
from diagnostics.stacks.position import is_idle, main_position, pairs, shows_main
from diagnostics.stacks.symbols import library_of

INSIDE = (WaitKind.CONDITION, WaitKind.JOIN)
"""Waits that only another thread of the same process ends."""
OUTSIDE = (
    WaitKind.SOCKET, WaitKind.PIPE, WaitKind.FILE, WaitKind.CHILD, WaitKind.TERMINAL, WaitKind.WORLD, WaitKind.SIGNAL,
)  # fmt: skip
"""Waits that something outside of the process ends."""
_LEAVES = (State.PROGRESSING, State.IDLE, *GONE)


_BEGINS = ("<module>", "_run_module_as_main", "_run_code", "_bootstrap", "<frozen>")
"""What the outermost Python frame of a main thread is called while the program runs."""


class At(NamedTuple):
    """A thread of a process with its position."""

    process: Process
    thread: Thread
    position: Position

    @property
    def where(self) -> str:
        """`step (train.py:31)`, or what it does where no place is known."""
        return place(self.position)

    @property
    def reports(self) -> bool:
        """It only wakes by the clock and tells how it goes: a monitor, which brings nothing."""
        return only_reports(self.process, self.position)

    @property
    def forever(self) -> bool:
        """It waits without a limit."""
        call = call_of(self.process, self.thread.tid)
        limited = self.position.limited or (call is not None and call.limited)
        return not limited and self.position.waits is not WaitKind.NOTHING


def place(position: Position | None) -> str:
    """`step (train.py:31), in all_reduce`, as far as it is known."""
    if position is None:
        return "a place that its stack does not tell"
    known = [position.place, position.operation and f"in {position.operation}"]
    return ", ".join(filter(None, known)) or position.waits.words


_LOCK = re.compile(r"(?<![a-z])[Ll]ock|_lock|[a-z]Lock")


def named_for_a_lock(position: Position) -> bool:
    """Whether the program's own function is named for a lock, as people name what polls for a lock file."""
    return position.own and bool(_LOCK.search(position.function))


def may_be_stuck(process: Process) -> bool:
    return process.state not in _LEAVES


def threads_at(process: Process) -> tuple[At, ...]:
    """Its threads but for those that are idle by nature or have no stack."""
    return tuple(
        At(process, thread, position)
        for thread, position in pairs(process)
        if not is_idle(position) and (thread.frames or position.waits is not WaitKind.UNKNOWN)
    )


def unread_threads(process: Process) -> int:
    """Threads of which no stack is known; beside a traceback's there may be others."""
    if process.dump == "traceback":
        return 1
    seen = {thread.tid for thread in process.threads if thread.frames}
    known = {thread.tid for thread in process.threads} | tids_of(process)
    return len(known - seen)


def tids_of(process: Process) -> set[int]:
    return {thread.tid for thread in process.samples[-1].threads} if process.samples else set()


def only_thread(process: Process) -> bool:
    """Whether the process has one thread, as far as is known."""
    return len(process.threads) == 1 and len(tids_of(process)) <= 1


def main_at(process: Process) -> At | None:
    """Where the process stands; None where its main thread may be missing from the dump."""
    position = main_position(process) if shows_main(process) else None
    return next((At(process, t, p) for t, p in pairs(process) if p == position), None) if position else None


def is_python(at: At) -> bool:
    return any(not frame.native for frame in at.thread.frames)


def is_called_by_driver(at: At) -> bool:
    """Whether it is a thread of the device's driver, which calls a host function of a stream, or a callback."""
    return not is_python(at) and any(library_of(frame) == "cuda" for frame in at.thread.frames)


def leaves_interpreter(at: At) -> bool:
    """Whether the interpreter called it on its way out (atexit): its stack does not begin with the program's module."""
    process = at.process
    first = next((frame.function for frame in at.thread.frames if not frame.native), "")
    runs_python = bool(process.command) and "python" in process.command[0].rpartition("/")[2]
    return runs_python and at.thread.tid == process.pid and bool(first) and first not in _BEGINS


def reads_silent_file(at: At) -> bool:
    """Whether it waits in a read of a FIFO or a device: waits for a disk are in state D."""
    call = call_of(at.process, at.thread.tid)
    letters = {t.state for sample in at.process.samples for t in sample.threads if t.tid == at.thread.tid}
    return bool(call and call.kind == "file" and call.call.startswith("read") and letters == {"S"})


def call_of(process: Process, tid: int) -> BlockingCall | None:
    return next((call for call in process.blocking_calls if call.tid == tid), None)


def holds_it_itself(at: At) -> bool:
    """Whether the lock that it waits for is its own already, by the lock's owner, or in Python by the source."""
    call = call_of(at.process, at.thread.tid)
    owned = bool(call and at.thread.tid in (call.owner, call.holder))
    return owned or holds_by_source(at.process, at.thread.tid)


def is_shared_lock(at: At) -> bool:
    """Whether the lock that it waits for lies in memory that other processes have as well."""
    call = call_of(at.process, at.thread.tid)
    return bool(call and call.kind == "futex" and (" in /" in call.what or (call.others and not call.owner)))


def children_of(process: Process, facts: Facts) -> tuple[Process, ...]:
    """Processes that it started, as far as they were looked at."""
    return facts.parents.children_of(process)


def parent_of(process: Process, facts: Facts) -> Process | None:
    return facts.parents.parent_of(process)


def is_forked(process: Process, facts: Facts) -> bool:
    """Whether it goes on with a copy of its parent's memory, and did not start a program."""
    parent = parent_of(process, facts)
    return any(position.has(Role.FORKED) for _, position in pairs(process)) or bool(
        parent and process.command and process.command == parent.command
    )


def peers(facts: Facts) -> tuple[Process, ...]:
    """The processes that make steps together: no servers, helpers, or launchers."""
    return tuple(process for process in facts.processes if _takes_part(process, facts))


def _takes_part(process: Process, facts: Facts) -> bool:
    if is_server(process.rank) or identity.parse(process.rank).helps:
        return False
    main = main_position(process)
    if main is None:
        return True
    launches = main.has(Role.SPAWN) and bool(children_of(process, facts))
    return not (launches or (main.has(Role.SERVE) and not main.has(*TOGETHER)))


def together(process: Process) -> Position | None:
    """The position in which it waits for other ranks in a collective; None where it is in none."""
    if not shows_main(process):
        return None
    main = main_position(process)
    if main and main.has(Role.COLLECTIVE):
        return main
    found = (at.position for at in threads_at(process) if at.position.has(Role.COLLECTIVE))
    return next(found, None) if main is None or main.waits in (*INSIDE, WaitKind.UNKNOWN) else None


def rests(process: Process) -> bool:
    """Whether it stands still with nothing of its own to wait for: on an event, for a thread's end, tearing down.

    Who waits for a condition of the program's own wants what it stands for: a token, room, an item.
    """
    main = main_position(process)
    if main is None or main.has(*TOGETHER, Role.INPUT_NEXT, Role.QUEUE_GET, Role.QUEUE_PUT, Role.POOL_WAIT):
        return False
    still = bool(process.samples) and stood_still(process, main.tid)
    wants = main.waits is WaitKind.CONDITION and main.own and main.operation.startswith("Condition.")
    return still and (main.has(Role.TEARDOWN) or (main.waits in INSIDE and not wants))


def is_whole(process: Process) -> bool:
    """Whether all its threads are known: from samples, or from a dump that has the stacks of several."""
    return bool(process.samples) or sum(bool(thread.frames) for thread in process.threads) > 1


def look_at_stillness(case: Case, process: Process, ats: Iterable[At] = ()) -> None:
    """Whether it hangs, or at least these threads of it did not run between two samples."""
    ats = tuple(ats)
    if process.state is State.HUNG:
        case.saw("hung", process.state_why or "it hangs", "samples", [process.rank])
    elif len(process.samples) > 1:
        if all(stood_still(process, at.thread.tid) for at in ats):
            case.saw("not-scheduled", "was not scheduled between two samples", "samples", [process.rank])
        elif process.state is not State.UNKNOWN or any(at.forever and not _asks_again(at) for at in ats):
            case.saw("ran", "ran between two samples", "samples", [process.rank])
    elif is_whole(process):
        case.saw("dumped", "somebody took a dump of it, as is done of what hangs", "dump", [process.rank])
    if len(process.samples) < 2:
        case.needs("a second sample: attach to the process, or take the dump again after a minute")


def _asks_again(at: At) -> bool:
    return at.position.has(Role.FILE_LOCK)


def nobody_comes(process: Process, but: Sequence[At], python: bool = False) -> bool:
    """Whether all its threads are known, and the others but these wait inside of it, or only go round by the clock.

    `python`: only such threads count as run Python: no other one comes to an object of Python's.
    """
    others = [at for at in threads_at(process) if all(at.thread is not one.thread for one in but)]
    others = [at for at in others if is_python(at)] if python else others
    calm = all((at.position.waits in INSIDE and at.forever) or goes_round(at.process, at.position) for at in others)
    return calm and not unread_threads(process)


def places(ats: Sequence[At]) -> str:
    """The first few of the places, each once."""
    known = list(dict.fromkeys(at.where for at in ats))
    return "; ".join(known[:4]) + (f" and {len(known) - 4} more" if len(known) > 4 else "")
