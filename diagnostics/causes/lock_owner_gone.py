"""A thread waits for a mutex whose owner has ended without releasing it.

A mutex of pthreads has its owner's thread id in it. Where no thread of the process has that id any more, nobody can
release it: a thread ended, or was cancelled, in the middle of the locked part.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import call_of, is_forked, look_at_stillness, may_be_stuck, threads_at, tids_of
from diagnostics.model import Process


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process, facts) for process in facts.processes if may_be_stuck(process))


def _examine_process(process: Process, facts: Facts) -> Case | None:
    known = {thread.tid for thread in process.threads} | tids_of(process)
    threads = threads_at(process)
    owners = {
        at.thread.tid: call.owner
        for at in threads
        if (call := call_of(process, at.thread.tid)) and call.owner > 0 and not call.others
    }
    left = [at for at in threads if owners.get(at.thread.tid, 0) not in (0, *known)]
    if not left or not known:
        return None
    case = Case("lock-owner-gone")
    where = [process.rank]
    owner = owners[left[0].thread.tid]
    said = f"waits for a mutex whose owner, thread {owner}, is no thread of the process: {left[0].where}"
    case.saw("owner-gone", said, "owners of the locks", where)
    if is_forked(process, facts):
        said = "the process was made by a fork: the owner may be a thread of its parent"
        case.saw("forked", said, "processes", where)
    look_at_stillness(case, process, left)
    return case


CAUSE = Cause(
    id="lock-owner-gone",
    family="lock-owner-gone",
    title="A thread waits for a mutex whose owner has ended without releasing it",
    examine=examine,
    not_to_be_confused_with=(
        "In a forked child the owner is a thread of the parent, which the child does not have: `fork-with-threads`. A "
        "mutex that processes share may have its owner in another process."
    ),
    versions="Mutexes of pthreads (C, C++, Rust, and libraries that Python loads)",
    remedies=(
        Remedy(
            "release-before-end",
            "Release the mutex in every way out of the thread: std::lock_guard, or a cleanup handler",
        ),
        Remedy("no-cancel", "Do not end threads from outside (pthread_cancel, TerminateThread): ask them to end"),
        Remedy("robust-mutex", "Make the mutex robust (PTHREAD_MUTEX_ROBUST): the next to lock it is told EOWNERDEAD"),
    ),
    references=("https://man7.org/linux/man-pages/man3/pthread_mutexattr_setrobust.3.html",),
    search_for=("(gdb) print mutex.__data.__owner", "$1 = 4712", "(gdb) info threads   # no thread 4712"),
)
