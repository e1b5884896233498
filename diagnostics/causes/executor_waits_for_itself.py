"""Tasks of a pool wait for other tasks of the same pool, which find no thread to run on.

What carries the cause: every thread of an executor is in a task, every such task waits for a result of the pool, and
none is left to bring one about.
"""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.analyze.facts import Facts
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import At, look_at_stillness, may_be_stuck, places, threads_at
from diagnostics.model import Process, Role
from diagnostics.stacks.position import is_idle, pairs


def examine(facts: Facts) -> Case | None:
    stuck = [process for process in facts.processes if may_be_stuck(process)]
    return likeliest((*map(_examine_process, stuck), _examine_calls(stuck)))


def _examine_process(process: Process) -> Case | None:
    tasks = [at for at in threads_at(process) if at.position.has(Role.POOL_TASK)]
    waiting = [at for at in tasks if at.position.has(Role.POOL_WAIT) and at.forever]
    if not waiting:
        return None
    case = Case("executor-waits-for-itself")
    where = [process.rank]
    said = f"{len(waiting)} of {len(tasks)} tasks of a pool wait for the result of another task: {places(waiting)}"
    case.saw("tasks-wait", said, "stacks", where)
    free = [p for _, p in pairs(process) if p.has(Role.POOL_TASK) and is_idle(p)]
    if free:
        case.saw("worker-free", "a thread of a pool is free, and could run one more", "stacks", where)
    else:
        case.saw("no-worker-free", "no thread of the pool is free to run what they wait for", "stacks", where)
    if len(tasks) > len(waiting):
        at = next(at for at in tasks if at not in waiting)
        case.saw("task-works", f"another task is at work: {at.where}", "stacks", where)
    look_at_stillness(case, process, waiting)
    return case


def _examine_calls(stuck: Sequence[Process]) -> Case | None:
    """Threads that carry out calls of other processes, and wait in them for answers of calls of their own."""
    waiting = [at for process in stuck for at in threads_at(process) if _calls_back(at)]
    processes = tuple(dict.fromkeys(at.process.rank for at in waiting))
    if len(processes) < 2:
        return None
    case = Case("executor-waits-for-itself")
    case.title = f"{' and '.join(processes[:2])} call each other, and no thread is free to answer"
    said = f"a call that it carries out waits for the answer to another: {places(waiting)}"
    case.saw("tasks-wait", said, "stacks", processes)
    free = [p for process in stuck for thread, p in pairs(process) if is_idle(p) and thread.name in _names(waiting)]
    if free:
        case.saw("worker-free", "a thread of the same pool is free, and could answer", "stacks", processes)
    else:
        case.saw("no-worker-free", "no thread of the pool is free to answer", "stacks", processes)
    look_at_stillness(case, waiting[0].process, waiting[:1])
    return case


def _calls_back(at: At) -> bool:
    return at.position.own and at.position.has(Role.PROXY) and at.position.has(Role.POOL_WAIT)


def _names(ats: Sequence[At]) -> frozenset[str]:
    return frozenset(at.thread.name for at in ats)


CAUSE = Cause(
    id="executor-waits-for-itself",
    family="thread-pool-exhaustion",
    title="Tasks of a pool wait for other tasks of it, and no thread of the pool is free to run them",
    examine=examine,
    not_to_be_confused_with=(
        "Tasks that wait for another pool or for a server are slow with it. As long as one thread of the pool "
        "is free, what they wait for can still run."
    ),
    versions="concurrent.futures, multiprocessing.pool.ThreadPool, and thread pools of any language",
    remedies=(
        Remedy("two-pools", "Give the inner tasks a pool of their own"),
        Remedy("do-not-wait-inside", "Or do not wait inside of a task: return, and go on in a callback of the future"),
        Remedy(
            "more-workers", "More threads than tasks can wait at once (max_workers) only move the limit", only="python"
        ),
    ),
    references=("https://docs.python.org/3/library/concurrent.futures.html#threadpoolexecutor",),
    search_for=(
        "    result (concurrent/futures/_base.py:451)",
        "    outer (prepare.py:12)",
        "    run (concurrent/futures/thread.py:58)",
        "    _worker (concurrent/futures/thread.py:83)",
    ),
)
