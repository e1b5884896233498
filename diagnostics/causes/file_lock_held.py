"""A process waits for a lock on a file that another process holds, and that one does not get on.

The kernel knows who holds such a lock (/proc/locks). What carries the cause: the wait, and the holder that stands
still.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import look_at_stillness, main_at, may_be_stuck, threads_at
from diagnostics.causes.stale_lock_file import waited_for
from diagnostics.model import FileLock, Process, Role, State
from diagnostics.redact import redact_text


def examine(facts: Facts) -> Case | None:
    return likeliest(
        _examine_lock(process, lock, facts)
        for process in facts.processes
        if may_be_stuck(process)
        for lock in waited_for(process)
        if set(lock.holders) - {process.pid}
    )


def _examine_lock(process: Process, lock: FileLock, facts: Facts) -> Case:
    case = Case("file-lock-held")
    pids = sorted(set(lock.holders) - {process.pid})
    holders = [p for p in facts.processes if p.host == process.host and p.pid in pids]
    who = ", ".join(p.rank for p in holders) or f"process {pids[0]}"
    path = redact_text(lock.path)
    case.title = f"{process.rank} waits for a lock on {path}, which {who} holds"
    case.saw("waits", f"waits for a lock on {path}, which {who} holds", "/proc/locks", [process.rank])
    still = [holder for holder in holders if holder.state is State.HUNG]
    if still:
        main = main_at(still[0])
        said = f"the holder stands still: {main.where if main else still[0].state_why}"
        case.saw("holder-still", said, "samples", [still[0].rank])
    elif any(holder.state is State.PROGRESSING for holder in holders):
        case.saw("holder-moves", "the holder moves, and may release it", "samples", [holders[0].rank])
    elif not holders:
        case.needs(f"where the holder stands: attach to process {pids[0]} as well")
    look_at_stillness(case, process, [at for at in threads_at(process) if at.position.has(Role.FILE_LOCK)])
    return case


CAUSE = Cause(
    id="file-lock-held",
    family="file-lock-held",
    title="A process waits for a lock on a file that another process holds",
    examine=examine,
    not_to_be_confused_with=(
        "A lock that is held for a short work is how such locks are used: a holder that moves will release it. A lock "
        "file that nobody has open is `stale-lock-file`."
    ),
    versions="flock, lockf and fcntl locks of any program",
    remedies=(
        Remedy("look-at-holder", "Look at the holder: the report says where it stands"),
        Remedy("short-sections", "Hold the lock only for the write itself, and never while waiting for something else"),
        Remedy("lock-timeout", "Take it with a limit: flock -w, filelock's timeout"),
    ),
    references=("https://man7.org/linux/man-pages/man5/proc_locks.5.html",),
    search_for=(
        "$ cat /proc/locks",
        "1: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF",
        "1: -> FLOCK  ADVISORY  WRITE 4712 08:01:131 0 EOF",
    ),
)
