"""A fork copied a lock or a thread pool; the child has it as it was, and not the threads that go with it.

What carries the cause: a process that was made by a fork and not by starting a program, whose only thread waits
without a timeout for a lock, or for the workers of a thread pool (OpenMP, Eigen, BLAS, gRPC) that it does not have.
Nobody in it can ever wake it.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import (
    At,
    call_of,
    is_forked,
    is_shared_lock,
    look_at_stillness,
    may_be_stuck,
    only_thread,
    parent_of,
    threads_at,
    tids_of,
)
from diagnostics.model import Process, Role, WaitKind
from diagnostics.stacks.position import pairs

_SHARED = (Role.QUEUE_GET, Role.QUEUE_PUT)
"""Locks inside of queues of multiprocessing are shared: another process holds them while it waits for work."""


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process, facts) for process in facts.processes if may_be_stuck(process))


def _examine_process(process: Process, facts: Facts) -> Case | None:
    if not is_forked(process, facts):
        return None
    threads = threads_at(process)
    alone = only_thread(process)
    stuck = [at for at in threads if at.forever and _copied(at, alone)]
    if len(stuck) != 1:
        return None
    (at,) = stuck
    case = Case("fork-with-threads")
    where = [process.rank]
    what = "a lock" if at.position.waits is WaitKind.LOCK else "threads of its own"
    if alone:
        said = f"the only thread of this process waits for {what} without a timeout: {at.where}"
        case.saw("only-thread", said, "stacks", where)
    else:
        case.saw("other-threads", "the process has other threads, which may let it go on", "stacks", where)
    call = call_of(process, at.thread.tid)
    if call and call.owner > 0 and call.owner not in tids_of(process):
        said = f"the owner of the lock is thread {call.owner}, which the process does not have"
        case.saw("owner-gone", said, "owners of the locks", where)
    _look_at_birth(case, process, facts)
    look_at_stillness(case, process, [at])
    return case


def _copied(at: At, alone: bool) -> bool:
    """What a fork copies and does not keep alive: locks; and where it is the only thread, whatever a thread wakes."""
    waits = at.position.waits
    if at.position.has(*_SHARED) or is_shared_lock(at):
        return False
    if not alone:
        return waits is WaitKind.LOCK
    call = call_of(at.process, at.thread.tid)
    sleeps_inside = waits is WaitKind.UNKNOWN and call is not None and call.kind in ("futex", "mutex")
    return waits in (WaitKind.LOCK, WaitKind.CONDITION, WaitKind.JOIN) or sleeps_inside


def _look_at_birth(case: Case, process: Process, facts: Facts) -> None:
    parent = parent_of(process, facts)
    if any(position.has(Role.FORKED) for _, position in pairs(process)):
        case.saw(
            "forked", "its stack goes through a fork, so it has a copy of its parent's memory", "stacks", [process.rank]
        )
    elif parent:
        case.saw("same-program", "runs its parent's program: a fork without exec", "processes", [process.rank])
    if parent and len(tids_of(parent)) > 1:
        said = f"its parent has {len(tids_of(parent))} threads, of which a fork copies one"
        case.saw("parent-has-threads", said, "processes", [parent.rank])


CAUSE = Cause(
    id="fork-with-threads",
    family="fork-with-threads",
    title="A forked child waits for a lock or a thread pool of its parent, whose threads it does not have",
    examine=examine,
    not_to_be_confused_with=(
        "A lock of multiprocessing (shared by processes) can be let go by another process. A thread that takes a "
        "lock twice waits in the same way, without any fork: `lock-taken-again`."
    ),
    versions="Every POSIX system; CPython warns from 3.12 on; multiprocessing starts by fork on Linux before 3.14",
    remedies=(
        Remedy(
            "spawn",
            "Start processes by spawn or forkserver: multiprocessing.set_start_method('spawn'), or DataLoader's "
            "multiprocessing_context='spawn'",
            only="python",
        ),
        Remedy(
            "exec-at-once",
            "Call exec in the child at once (posix_spawn): between the two only async-signal-safe functions may run",
            only="compiled",
        ),
        Remedy("fork-first", "Or fork before any thread is started: before frameworks are imported or sessions made"),
        Remedy(
            "one-thread-in-child",
            "For numeric libraries: torch.set_num_threads(1), OMP_NUM_THREADS=1, cv2.setNumThreads(0) in the child",
            only="python",
        ),
        Remedy(
            "register-at-fork",
            "For your own locks: os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, "
            "after_in_child=lock.release)",
            only="python",
        ),
    ),
    references=(
        "https://github.com/python/cpython/issues/50970",
        "https://docs.python.org/3/library/os.html#os.fork",
        "https://github.com/pytorch/pytorch/issues/1355",
    ),
    scenario="fork-with-threads",
    search_for=(
        'Thread 4711 (idle): "MainThread"',
        "    lock_PyThread_acquire_lock (libpython3.11.so.1.0)",
        "    count_rows (train.py:20)",
        "    run (multiprocessing/process.py:108)",
        "    _launch (multiprocessing/popen_fork.py:71)",
    ),
)
