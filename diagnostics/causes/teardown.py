"""A job or a process is at its end, and waits there for what does not come.

Ranks wait at a last barrier, or while the process group is taken apart, for ranks that have left or stand
elsewhere. Or one process waits at its own exit: for a thread that is no daemon, a child that is joined, a library's
helper. What carries the cause: the thread that gets the work on is on its way out.
"""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.analyze.facts import Facts, names
from diagnostics.analyze.family import has_ended
from diagnostics.analyze.job import waits_for_autotuner
from diagnostics.analyze.stillness import stood_still
from diagnostics.causes.absent import look_at_absent
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import (
    At,
    children_of,
    is_python,
    leaves_interpreter,
    look_at_stillness,
    main_at,
    may_be_stuck,
    peers,
    threads_at,
    together,
)
from diagnostics.model import Position, Process, Role, State, WaitKind

_HERE = (WaitKind.JOIN, WaitKind.CHILD, WaitKind.CONDITION, WaitKind.PIPE, WaitKind.COLLECTIVE, WaitKind.RENDEZVOUS)


def examine(facts: Facts) -> Case | None:
    return likeliest((_examine_ranks(facts), *(_examine_process(p, facts) for p in facts.processes if may_be_stuck(p))))


def _examine_ranks(facts: Facts) -> Case | None:
    ranks = peers(facts)
    inside = [(process, position) for process in ranks if (position := _last_wait(process))]
    waiting = [process for process, _ in inside]
    outside = [process for process in ranks if process not in waiting and not together(process)]
    if not inside or not outside or len(inside) + len(outside) < len(ranks):
        return None
    case = Case("teardown")
    leaves = any(position.has(Role.TEARDOWN) for _, position in inside)
    where = "while the process group is taken apart" if leaves else "at a barrier"
    case.saw("waits", f"waits {where} for the other ranks", "stacks", names(waiting))
    if any(process.state in (State.PROGRESSING, State.SLOW) for process in waiting):
        case.saw("moves", "one of them moves", "samples", names(waiting))
    look_at_absent(case, outside)
    _look_at_ends(case, waiting)
    return case


def _last_wait(process: Process) -> Position | None:
    main = main_at(process)
    if main and main.position.has(Role.TEARDOWN):
        return main.position
    position = together(process)
    return position if position and position.has(Role.BARRIER) else None


def _look_at_ends(case: Case, inside: Sequence[Process]) -> None:
    flights = [process.flight for process in inside if process.flight]
    if not flights:
        case.needs("whether their training had ended: the flight recorder tells, or the last step in the logs")
    elif any(flight.open for flight in flights):
        case.saw("not-done", "has an epoch or a step open: it was not done", "recorder", names(inside))
    else:
        case.saw("done", "every epoch that it began has ended: it was done with training", "recorder", names(inside))


def _examine_process(process: Process, facts: Facts) -> Case | None:
    main = main_at(process)
    if main is None or main.position.waits not in _HERE:
        return None
    if not main.position.has(Role.TEARDOWN) and not leaves_interpreter(main):
        return None
    if waits_for_autotuner(process):
        return None  # the end of an iterator, not of the program
    case = Case("teardown")
    where = [process.rank]
    case.title = f"{process.rank} is on its way out, and waits there: {main.where}"
    case.saw(
        "tears-down", f"is on its way out, and waits for {main.position.waits.words}: {main.where}", "stacks", where
    )
    threads = [at for at in threads_at(process) if at.thread is not main.thread and is_python(at)]
    children = [child for child in children_of(process, facts) if not has_ended(child)]
    if main.position.waits in (WaitKind.JOIN, WaitKind.CONDITION) and threads:
        _look_at_awaited(case, threads[0])
    elif main.position.waits is WaitKind.CHILD and children:
        child = main_at(children[0])
        said = f"a child of it has not ended: {child.where if child else children[0].rank}"
        case.saw("awaited", said, "stacks", names(children))
        if any(other.state in (State.PROGRESSING, State.SLOW) for other in children):
            case.saw("awaited-moves", "that child moves, and may come to its end", "samples", names(children))
    if main.position.has(Role.POOL_WAIT, Role.POOL_TASK):
        case.saw("pool", "it may be a pool that ends in the middle of the program", "stacks", where)
    look_at_stillness(case, process, [main])
    return case


def _look_at_awaited(case: Case, at: At) -> None:
    case.saw("awaited", f"a thread of it has not ended: {at.where}", "stacks", [at.process.rank])
    if at.process.state is not State.HUNG and not stood_still(at.process, at.thread.tid) and at.process.samples:
        case.saw("awaited-moves", "that thread runs, and may come to its end", "samples", [at.process.rank])
    if at.position.waits is WaitKind.LOCK:
        case.saw("awaited-locked", "that thread waits for a lock: then that is the cause", "stacks", [at.process.rank])


CAUSE = Cause(
    id="teardown",
    family="teardown",
    title="A job or a process is at its end, and waits there for what does not come",
    examine=examine,
    not_to_be_confused_with=(
        "A barrier before a save, or while another rank evaluates, looks the same from the rank that waits: it is what "
        "the others do that tells. A rank that waits in an all-reduce of a step has more data than the rest."
    ),
    versions="torch.distributed of any release; any program with a barrier at its end",
    remedies=(
        Remedy(
            "stop-threads", "Tell threads to end before they are joined: a flag, and a notification", only="compiled"
        ),
        Remedy(
            "daemon-thread",
            "Tell threads to end, then join them; or make helpers daemons (Thread(daemon=True))",
            only="python",
        ),
        Remedy(
            "same-way-out",
            "Let every rank take the same way out: no `return` or sys.exit() before the last barrier, not in an "
            "exception's handler either",
        ),
        Remedy("destroy-once", "Call destroy_process_group() on every rank, in a `finally`, and once", only="torch"),
        Remedy(
            "monitored-barrier",
            "Give the last barrier a short timeout: dist.monitored_barrier(timeout=...) names the rank that does "
            "not come",
            only="torch",
        ),
    ),
    references=(
        "https://pytorch.org/docs/stable/distributed.html#shutdown",
        "https://pytorch.org/docs/stable/distributed.html#torch.distributed.monitored_barrier",
    ),
    scenario="teardown",
    search_for=(
        "    gloo::transport::UnboundBuffer::waitRecv(...)",
        "    c10d::ProcessGroupGloo::AsyncBarrierWork::run() (libtorch_cpu.so)",
        "    barrier (torch/distributed/distributed_c10d.py)",
        "    end (train.py:38)",
    ),
)
