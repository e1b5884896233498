"""A fork copied a lock while a thread held it; the child has the lock, held, and not the thread.

What carries the cause: a process whose only thread at work waits for a lock without a timeout, so that nobody in it
can ever let go, and which was made by a fork and not by starting a program.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.analyze.thread_waits import For, ThreadWait, short, stood_still, waits_of
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.model import Process, State

_FORKS = frozenset({"fork", "_launch", "_after_fork", "os_fork", "os_fork_impl", "_fork", "fork_exec"})


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process, facts) for process in facts.processes)


def _examine_process(process: Process, facts: Facts) -> Case | None:
    waits = waits_of(process)
    lockers = [wait for wait in waits if wait.waits is For.LOCK and not wait.limited]
    if len(lockers) != 1 or process.state is State.FINISHED:
        return None
    (locker,) = lockers
    case = Case("fork-with-threads")
    where = [process.rank]
    if len(process.threads) == 1 and len(_tids(process)) <= 1:
        said = f"the only thread of this process waits for a lock without a timeout: {locker.at}"
        case.saw("only-thread", said, "stacks", where)
    else:
        case.saw("other-threads", "the process has other threads, which may hold the lock", "stacks", where)
    _look_at_birth(case, process, locker, facts)
    if stood_still(process, locker.thread.tid):
        case.saw("not-scheduled", "it was not scheduled between two looks", "two samples", where)
    return case


def _tids(process: Process) -> set[int]:
    return {thread.tid for thread in process.samples[-1].threads} if process.samples else set()


def _look_at_birth(case: Case, process: Process, locker: ThreadWait, facts: Facts) -> None:
    """A fork leaves its caller's frames on the child's stack, and its parent's command line."""
    fork = next((frame for frame in locker.thread.frames if short(frame) in _FORKS), None)
    parent = _parent(process, facts)
    if fork:
        said = f"its stack goes through the fork that made it ({fork.function})"
        case.saw("forked", said, "stacks", [process.rank])
    elif parent and parent.command == process.command:
        case.saw("same-program", "it runs on with its parent's command line: a fork, no new program", "processes")
    else:
        case.needs("whether the process was made by a fork: look at its parent as well")
    if parent and len(_tids(parent)) > 1:
        said = f"its parent has {len(_tids(parent))} threads, of which a fork copies one"
        case.saw("parent-has-threads", said, "processes", [parent.rank])


def _parent(process: Process, facts: Facts) -> Process | None:
    kind, _, rest = process.rank.partition("/")
    if kind != "child":
        return None
    return next((other for other in facts.processes if other.rank == rest.rpartition("/")[0]), None)


CAUSE = Cause(
    id="fork-with-threads",
    family="fork-with-threads",
    title="A forked child waits for a lock that a thread of its parent held at the fork",
    examine=examine,
    not_to_be_confused_with=(
        "A lock of multiprocessing (shared by processes) can be let go by another process. A thread that takes a "
        "lock twice waits in the same way, without any fork."
    ),
    versions="Every POSIX system; CPython warns from 3.12 on; multiprocessing starts by fork on Linux before 3.14",
    remedies=(
        Remedy(
            "spawn",
            "Start processes by spawn or forkserver: multiprocessing.set_start_method('spawn'), or DataLoader's "
            "multiprocessing_context='spawn'",
        ),
        Remedy("fork-first", "Or fork before any thread is started: before frameworks are imported or sessions made"),
        Remedy(
            "register-at-fork",
            "For your own locks: os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, "
            "after_in_child=lock.release)",
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
