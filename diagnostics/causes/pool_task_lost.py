"""A pool's worker was ended in the middle of a task, another took its place, and the task's result never comes.

`multiprocessing.Pool` starts a new worker for one that has ended, and forgets the task that the old one had taken.
What carries the cause: the caller waits for a result of the pool, and no worker is at work on anything.
"""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.analyze.facts import Facts, names
from diagnostics.analyze.family import has_ended
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import At, children_of, look_at_stillness, main_at, may_be_stuck, threads_at
from diagnostics.model import Process, Role
from diagnostics.stacks.position import is_idle, pairs

_YOUNGER = 1.0
"""Seconds by which a worker that was started for another is younger than the rest, at least."""


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process, facts) for process in facts.processes if may_be_stuck(process))


def _examine_process(process: Process, facts: Facts) -> Case | None:
    main = main_at(process)
    waiting = [at for at in threads_at(process) if at.position.has(Role.POOL_WAIT) and at.forever]
    if main is None or not waiting or any(at.position.has(Role.POOL_TASK) for at in threads_at(process)):
        return None
    children = children_of(process, facts)
    workers = [child for child in children if any(p.has(Role.POOL_TASK) for _, p in pairs(child))]
    without = not workers and children and all(map(_only_helps, children)) and _is_of_processes(waiting[0])
    if not workers and not without and not any(map(has_ended, children)):
        return None
    case = Case("pool-task-lost")
    case.saw("waits", f"waits for a result of a pool: {waiting[0].where}", "stacks", [process.rank])
    if without:
        case.title = f"{process.rank} waits for a pool none of whose workers lives: {waiting[0].where}"
        said = "the pool has no worker: each ends as it starts (an initializer that raises, a module that is missing)"
        case.saw("no-worker", said, "processes", [process.rank])
    else:
        _look_at_workers(case, workers)
    if ended := [child for child in children if has_ended(child)]:
        case.saw("worker-ended", "a child has ended", "processes", names(ended))
    else:
        _look_at_ages(case, workers)
    look_at_stillness(case, process, waiting)
    case.needs("how a worker ended: the kernel's log (dmesg) names whom it ended when memory ran out")
    return case


def _only_helps(child: Process) -> bool:
    """A fork server, a resource tracker: all its threads are idle by nature."""
    return bool(child.threads) and all(is_idle(position) for _, position in pairs(child))


def _is_of_processes(at: At) -> bool:
    return at.position.operation.startswith(("Pool.", "AsyncResult."))


def _look_at_workers(case: Case, workers: Sequence[Process]) -> None:
    busy = [worker for worker in workers if not _is_idle(worker)]
    if busy:
        main = main_at(busy[0])
        said = f"a worker is at work, or stuck in it: {main.where if main else ''}"
        case.saw("worker-busy", said, "stacks", names(busy))
    elif workers:
        said = "every worker waits for a task: nobody works on the one whose result is waited for"
        case.saw("workers-idle", said, "stacks", names(workers))
    else:
        case.needs(
            "stacks of the pool's workers, to see whether one is at work: attach to the caller with its children"
        )


def _is_idle(worker: Process) -> bool:
    return all(is_idle(position) for _, position in pairs(worker) if position.has(Role.POOL_TASK))


def _look_at_ages(case: Case, workers: Sequence[Process]) -> None:
    """Workers are started together; a younger one replaces one that has ended."""
    ages = sorted((worker.age, worker.rank) for worker in workers if worker.age >= 0)
    if len(ages) > 1 and ages[-1][0] - ages[0][0] > _YOUNGER:
        said = f"was started {ages[-1][0] - ages[0][0]:.0f} s after the others: it replaces one that has ended"
        case.saw("worker-replaced", said, "processes", [ages[0][1]])


CAUSE = Cause(
    id="pool-task-lost",
    family="helper-process-dead",
    title="A pool's worker has ended with a task in hand, and the caller waits for its result",
    examine=examine,
    not_to_be_confused_with=(
        "A worker that is at work on a task may be slow, or stuck: then look at its stack. Idle workers are how a "
        "pool waits; they are not what is wrong. concurrent.futures raises BrokenProcessPool in place of this."
    ),
    versions="multiprocessing.Pool of any CPython release",
    remedies=(
        Remedy("use-executor", "Use concurrent.futures.ProcessPoolExecutor: it raises when a worker ends"),
        Remedy("result-timeout", "Or take results with a limit: map_async(...).get(timeout), and raise when it passes"),
        Remedy(
            "why-it-ended", "See why the worker ended: memory (dmesg), a signal, os._exit or a crash in native code"
        ),
    ),
    references=(
        "https://github.com/python/cpython/issues/66587",
        "https://docs.python.org/3/library/concurrent.futures.html#concurrent.futures.process.BrokenProcessPool",
    ),
    search_for=(
        "    wait (multiprocessing/pool.py:765)",
        "    get (multiprocessing/pool.py:768)",
        "    map (multiprocessing/pool.py:367)",
        "    _handle_workers (multiprocessing/pool.py:522)",
    ),
)
