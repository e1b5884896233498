"""A thread waits for a lock that it holds itself, or that nobody else is left to release.

Three ways lead there: a function that has the lock calls one that takes it; a signal's handler or a `__del__` runs
in the middle of the locked part, and takes it too; an exception left the locked part without releasing it. What
carries the cause: the thread stands in a handler or finalizer, or the lock's owner word has its own id, or no other
thread is there that could hold the lock, in a process that was not made by a fork.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.lock_order import holder_of
from diagnostics.causes.observe import (
    INSIDE,
    At,
    holds_it_itself,
    is_forked,
    is_shared_lock,
    is_whole,
    look_at_stillness,
    may_be_stuck,
    threads_at,
    unread_threads,
)
from diagnostics.model import Role, WaitKind

_FROM_OUTSIDE = (Role.QUEUE_GET, Role.QUEUE_PUT, Role.POOL_TASK, Role.CALLBACK, Role.IMPORT)


def examine(facts: Facts) -> Case | None:
    return likeliest(
        _examine_thread(at, threads, facts)
        for process in facts.processes
        if may_be_stuck(process)
        for threads in [threads_at(process)]
        for at in threads
        if at.position.waits is WaitKind.LOCK and at.forever and not is_shared_lock(at)
    )


def _examine_thread(at: At, threads: tuple[At, ...], facts: Facts) -> Case | None:
    case = Case("lock-taken-again")
    where = [at.process.rank]
    own = holds_it_itself(at)
    interrupted = at.position.has(Role.SIGNAL_HANDLER, Role.FINALIZER)
    lockers = [one for one in threads if one.position.waits is WaitKind.LOCK]
    if not own and not interrupted and (len(lockers) > 1 or at.position.has(*_FROM_OUTSIDE)):
        return None
    case.saw("waits", f"waits for a lock without a timeout: {at.where}", "stacks", where)
    if own:
        case.saw("owner-itself", "the owner of the lock is the thread that waits for it", "owners of the locks", where)
    elif holder_of(at):
        case.saw("owner-other", f"thread {holder_of(at)} holds the lock", "owners of the locks", where)
    if interrupted:
        inside = (
            "a signal's handler" if at.position.has(Role.SIGNAL_HANDLER) else "a finalizer (__del__, weakref, atexit)"
        )
        case.saw("interrupted", f"it does so in {inside}, which ran in the middle of other code", "stacks", where)
    if at.position.has(Role.FORKED) or is_forked(at.process, facts):
        case.saw("forked", "the process was made by a fork, which copies locks as they are", "processes", where)
    _look_at_others(case, at, threads)
    look_at_stillness(case, at.process, [at])
    if not own:
        case.needs("who took the lock last: locks of Python have no owner; look at where else the program takes it")
    return case


def _look_at_others(case: Case, at: At, threads: tuple[At, ...]) -> None:
    where = [at.process.rank]
    able = [one for one in threads if one is not at and one.position.waits not in (*INSIDE, WaitKind.LOCK)]
    if able:
        said = f"another thread may hold the lock: {able[0].where}"
        case.saw("other-thread", said, "stacks", where)
    elif unread_threads(at.process):
        case.saw("unread", "there are threads whose stacks are not known", "stacks", where)
    elif is_whole(at.process):
        case.saw("no-other-thread", "no other thread is at work that could release it", "stacks", where)


CAUSE = Cause(
    id="lock-taken-again",
    family="lock-order",
    title="A thread waits for a lock that it holds itself, or that nobody is left to release",
    examine=examine,
    not_to_be_confused_with=(
        "A process made by a fork has copies of locks that threads of its parent held: `fork-with-threads`. Several "
        "threads in a circle are `lock-order`. A lock that multiprocessing shares may be held by another process."
    ),
    versions="Any program; Python's threading.Lock, mutexes of native code that are not recursive",
    remedies=(
        Remedy(
            "unlock-before-call",
            "Let go of the mutex before calling what takes it, or split off a function that expects it held",
            only="compiled",
        ),
        Remedy(
            "signal-safe",
            "In a signal's handler call only async-signal-safe functions: set a flag, or write to a pipe",
            only="compiled",
        ),
        Remedy("guard", "Release in every way out: std::lock_guard in place of lock() and unlock()", only="compiled"),
        Remedy(
            "recursive-lock",
            "Use threading.RLock where a function that holds the lock calls one that takes it",
            only="python",
        ),
        Remedy(
            "handler-sets-flag",
            "In signal handlers and __del__ take no lock, and log nothing: set a flag or put into queue.SimpleQueue",
            only="python",
        ),
        Remedy(
            "release-on-error",
            "Release in every way out: `with lock:` in place of acquire() and release()",
            only="python",
        ),
    ),
    references=(
        "https://docs.python.org/3/library/threading.html#rlock-objects",
        "https://docs.python.org/3/library/signal.html#signals-and-threads",
        "https://docs.python.org/3/reference/datamodel.html#object.__del__",
    ),
    search_for=(
        'Thread 4711 (idle): "MainThread"',
        "    lock_PyThread_acquire_lock (libpython3.11.so.1.0)",
        "    on_terminate (serve.py:18)",
        "    flush (serve.py:31)",
    ),
)
