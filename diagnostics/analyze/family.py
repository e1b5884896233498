"""Who started whom, and who makes steps together. Pure."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from diagnostics.analyze.loops import standing_loop
from diagnostics.discover.kinship import is_wrapper
from diagnostics.model import GONE, BlockingCall, Process, Role, WaitKind
from diagnostics.model.rank import RankKind, parse
from diagnostics.stacks.merge import is_eval
from diagnostics.stacks.position import is_idle, main_position, pairs
from diagnostics.stacks.stand import stand_of

TOGETHER = (Role.COLLECTIVE, Role.BARRIER, Role.RENDEZVOUS, Role.STEP)
"""What a rank does with others."""


def is_child_of(other: Process, process: Process) -> bool:
    if other is process or other.host != process.host:
        return False
    return 0 < process.pid == other.parent or parse(other.rank).is_child_of(process.rank)


class Parents:
    """`is_child_of`, asked of all processes of a job at once."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._children: dict[_Key, dict[int, Process]] = {}
        self._parents: dict[_Key, dict[int, Process]] = {}
        by_place: dict[tuple[str, int], dict[int, Process]] = {}
        by_name: dict[tuple[str, str], dict[int, Process]] = {}
        for number, process in enumerate(processes):
            by_place.setdefault((process.host, process.pid), {})[number] = process
            by_name.setdefault((process.host, process.rank), {})[number] = process
        for number, process in enumerate(processes):
            who = parse(process.rank)
            above = dict(by_place.get((process.host, process.parent), {})) if process.parent > 0 else {}
            above |= by_name.get((process.host, who.parent), {}) if who.is_child else {}
            above.pop(number, None)
            self._parents[_key(process)] = above
            for parent in above.values():
                self._children.setdefault(_key(parent), {})[number] = process

    def children_of(self, process: Process) -> tuple[Process, ...]:
        """In the job's order, as far as they were looked at."""
        return tuple(self._children.get(_key(process), {}).values())

    def parent_of(self, process: Process) -> Process | None:
        above = self._parents.get(_key(process), {})
        return above[min(above)] if above else None


_Key = tuple[str, int, str]


def _key(process: Process) -> _Key:
    return process.host, process.pid, process.rank


def launches(process: Process, processes: Sequence[Process]) -> bool:
    """Whether it is there to start others and waits for their end: torchrun, a shell, `timeout`, a spawning script."""
    main = main_position(process)
    if parse(process.rank).is_launcher:
        return main is None or not main.has(Role.RENDEZVOUS)  # it has started nobody yet: it waits for other nodes
    compiled = _is_compiled(process)
    waits = main is not None and (main.has(Role.SPAWN) or main.waits is WaitKind.CHILD)
    signals = main is not None and compiled and main.waits is WaitKind.SIGNAL  # SIGCHLD, for all that is known
    wraps = is_wrapper(process.command)
    children = [one for one in processes if is_child_of(one, process)] if waits or signals or wraps else []
    if compiled and all(map(_is_a_sleep, children)) and (standing := standing_loop(process)) and standing.loop.asks:
        return False  # a shell's loop, which waits for what it asks for
    return bool(children) and (wraps or compiled or any(not parse(child.rank).helps for child in children))


def _is_a_sleep(process: Process) -> bool:
    return has_ended(process) or any(word.rpartition("/")[2] == "sleep" for word in process.command[:1])


def _is_compiled(process: Process) -> bool:
    """Whether its stacks were read, and no Python runs in it."""
    frames = [frame for thread in process.threads for frame in thread.frames]
    return bool(frames) and all(frame.native and not is_eval(frame) for frame in frames)


def serves(process: Process) -> bool:
    """By its role or, where that is not known, by what its main thread does. One that makes a step itself does not."""
    main = main_position(process)
    if main is not None and main.tid == process.pid and main.has(*TOGETHER) and not main.has(Role.SERVE):
        return False
    by_role = parse(process.rank).is_server and not is_before_serving(process)
    return by_role or (main is not None and main.has(Role.SERVE) and not main.has(*TOGETHER))


def is_before_serving(process: Process) -> bool:
    """Whether a server by its role does not serve yet: it listens nowhere, and its main thread is in the user's code.

    Where nothing was seen but its stacks, it may listen.
    """
    main = main_position(process)
    if not parse(process.rank).is_server or not process.samples or process.listens or has_ended(process):
        return False
    return main is not None and main.own and not any(one.has(Role.SERVE) for _, one in pairs(process))


def accepts(process: Process) -> bool:
    """Whether it is a server that waits for the next client, and none is there. A rank waits for those it knows."""
    main = main_position(process)
    if main is None or parse(process.rank).kind is RankKind.RANK or main.has(*TOGETHER):
        return False
    listening = {one.tid for one in process.blocking_calls if listens(one, process)}
    by_thread = main.has(Role.QUEUE_GET) or main.operation.startswith(("Event.", "Condition."))
    serves = main.tid in listening or main.has(Role.EVENT_LOOP) or (by_thread and bool(listening & _at_work(process)))
    return serves and _is_without_clients(process)


def listens(call: BlockingCall, process: Process) -> bool:
    """Whether a thread waits for whoever connects, over TCP."""
    return (call.kind == "socket" and call.what in process.listens) or "listening socket" in call.what


def _at_work(process: Process) -> set[int]:
    return {position.tid for _, position in pairs(process) if not is_idle(position) or position.has(Role.SERVE)}


def _is_without_clients(process: Process) -> bool:
    """Whether it serves an address, and no other process is connected to it."""
    links = [one for one in process.connections if one.state == "ESTABLISHED"]
    own = {(one.local, one.remote) for one in links}
    alone = all((one.remote in process.listens or (one.remote, one.local) in own) and not one.unread for one in links)
    if not alone or not process.listens or any(one.waiting for one in process.listeners):
        return False
    # One that talks to itself is at rest as long as it serves; a task of its own that reads waits for an answer.
    tasks = [stand_of(one.frames) for one in process.coroutines]
    return any(one.has(Role.SERVE) for one in tasks) or not any(one.has(Role.AWAITS_DATA) for one in tasks)


def votes(process: Process, processes: Sequence[Process]) -> bool:
    """Whether its standing still says something of the job: a rank, or a program that a launcher or shell started.

    Whether a rank's own helpers stand still says nothing, unless that rank waits for one.
    """
    if serves(process) or launches(process, processes):
        return False
    if not parse(process.rank).is_child:
        return True
    above = [other for other in processes if is_child_of(process, other)]
    return not above or all(launches(other, processes) for other in above)


def peers(processes: Sequence[Process]) -> tuple[Process, ...]:
    """The processes that make steps together: no servers, helpers, or launchers."""
    return tuple(
        process
        for process in processes
        if not parse(process.rank).helps and not serves(process) and not launches(process, processes)
    )


def has_ended(process: Process) -> bool:
    """Whether it is no more, or only its entry is left."""
    letters = {thread.state for thread in process.samples[-1].threads} if process.samples else set()
    return process.exit_status is not None or process.state in GONE or (bool(letters) and letters <= {"Z", "X"})


def how_it_ended(process: Process) -> str:
    """`was ended by SIGKILL (signal 9)`, `ended with status 1`, as far as it is known."""
    status = process.exit_status
    if status is None:
        return "has ended"
    return f"was ended by {signal_name(-status)}" if status < 0 else f"ended with status {status}"


def signal_name(number: int) -> str:
    """`SIGKILL (signal 9)`"""
    try:
        return f"{signal.Signals(number).name} (signal {number})"
    except ValueError:
        return f"signal {number}"
