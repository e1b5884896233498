"""Who waits for whom, as far as the evidence carries it. Pure.

A rank that progresses, serves or is gone waits for nobody. What counts is a thread that did not run between two looks.
"""

from __future__ import annotations

from collections.abc import Iterator

from diagnostics.analyze.blocking_calls import Names, holder_of_gil, names_of, words
from diagnostics.analyze.collectives import collective_of
from diagnostics.analyze.progress import MAY_BE_STUCK, silence_of
from diagnostics.analyze.tf_steps import in_remote_step
from diagnostics.analyze.thread_waits import For, stood_still, waits_of
from diagnostics.model import BlockingCall, Collection, Process, State, Wait
from diagnostics.model.rank import parse

_MOST = 8
"""Of one kind for one rank: what is behind a pipe that many have open is not to be found that way."""


def find_waits(collection: Collection) -> tuple[Wait, ...]:
    """By framework calls, connections, pipes, children, locks and collectives.

    A client in RunStep waits for the peers that it is connected to; which of them, stacks do not tell, but a trace or
    its memory does. Threads of one rank that wait for each other's locks are `worker:0 thread 4711`.
    """
    names = names_of(collection)
    waiting = [process for process in collection.processes if process.state in MAY_BE_STUCK]
    escaped = [wait for process in waiting for wait in _for_escaped(process, collection)]
    known = {wait.rank for wait in escaped}
    found: dict[tuple[str, str], Wait] = {(wait.rank, wait.on): wait for wait in escaped}
    for process in waiting:
        for wait in (*(() if process.rank in known else _in_steps(process)), *_of(process, names)):
            found.setdefault((wait.rank, wait.on), wait)
    for wait in _for_collectives(collection):
        found.setdefault((wait.rank, wait.on), wait)
    return tuple(found.values())


def _for_escaped(process: Process, collection: Collection) -> Iterator[Wait]:
    for call in collection.trace.escaped if collection.trace else ():
        if call.rank == process.rank and call.peer and not call.came_back:
            asked = f" of {call.tensor.split(';')[3]}" if call.tensor.count(";") >= 3 else ""
            yield Wait(call.rank, call.peer, f"a receive{asked} that was aborted in vain, and never came back")


def _in_steps(process: Process) -> Iterator[Wait]:
    if in_remote_step(process):
        for peer, quiet in _peers(process).items():
            yield _in_step(process, peer, quiet)


def _of(process: Process, names: Names) -> Iterator[Wait]:
    for sleep in process.blocking_calls:
        if stood_still(process, sleep.tid):
            yield from _by_sleep(process, sleep, names)
    yield from _for_gil(process)


def _by_sleep(process: Process, sleep: BlockingCall, names: Names) -> Iterator[Wait]:
    said = f"thread {sleep.tid} waits for {words(sleep, process, names)}"
    if sleep.kind == "mutex":
        yield Wait(_thread(process, sleep.tid), _thread(process, sleep.holder), "waits for a mutex that it holds")
    elif sleep.peer and sleep.peer != process.rank:
        yield Wait(process.rank, sleep.peer, said, _quiet(process, sleep))
    elif sleep.kind in ("pipe", "socket", "child"):
        others = [names[process.host, pid] for pid in sleep.others if (process.host, pid) in names]
        for other in others[:_MOST]:
            if other != process.rank:
                yield Wait(process.rank, other, said)


def _for_gil(process: Process) -> Iterator[Wait]:
    holder = holder_of_gil(process)
    starved = [wait.thread.tid for wait in waits_of(process) if wait.waits is For.GIL] if holder else []
    for tid in starved[:_MOST]:
        if tid != holder:
            yield Wait(_thread(process, tid), _thread(process, holder), "waits for the interpreter lock that it holds")


def _for_collectives(collection: Collection) -> Iterator[Wait]:
    """Who hangs in a collective waits for the ranks of its role that have not come to it, if these are few."""
    inside = {
        process.rank: name
        for process in collection.processes
        if process.state is State.HUNG and (name := collective_of(process))
    }
    roles = {_role(rank) for rank in inside}
    absent = [
        process.rank
        for process in collection.processes
        if _role(process.rank) in roles
        and process.rank not in inside
        and (process.threads or process.state in (State.DEAD, State.FINISHED))
    ]
    if len(absent) <= _MOST:
        for rank, name in inside.items():
            for other in absent:
                if _role(other) == _role(rank):
                    yield Wait(rank, other, f"in {name}, to which it has not come")


def _role(rank: str) -> str:
    one = parse(rank)
    return one.role or one.kind.value


def _thread(process: Process, tid: int) -> str:
    return f"{process.rank} thread {tid}"


def _quiet(process: Process, sleep: BlockingCall) -> float:
    return next((link.quiet for link in process.connections if f"{link.local} -> {link.remote}" == sleep.what), -1.0)


def _peers(process: Process) -> dict[str, float]:
    quiet: dict[str, float] = {}
    for link in process.connections:
        if link.peer and link.peer != process.rank:
            quiet[link.peer] = min(link.quiet, quiet.get(link.peer, link.quiet))
    return dict(sorted(quiet.items()))


def _in_step(process: Process, peer: str, quiet: float) -> Wait:
    seconds = silence_of(process.flight) if process.flight else -1.0
    heard = f"; nothing moved between them for {quiet:.1f} s" if quiet >= 0 else ""
    why = f"in RunStep, may wait for a tensor or the end of its part of the step{heard}"
    return Wait(process.rank, peer, why, seconds)
