"""A program polls for a lock file to go away, and nobody is left who would remove it.

A lock file is only a name: whoever made it may have been killed before it removed it. PyTorch's builds of extensions
(`FileBaton`), download caches and shell scripts lock like that. What carries the cause: the thread waits for a lock
file, again and again, and no process has that file open.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts, names
from diagnostics.analyze.loops import standing_loop
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import may_be_stuck, named_for_a_lock, threads_at
from diagnostics.model import FileLock, Process, Role, State, WaitKind
from diagnostics.redact import redact_text
from diagnostics.stacks.blocked import wanted_locks
from diagnostics.stacks.position import threads_with


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process, facts) for process in facts.processes if may_be_stuck(process))


def waited_for(process: Process) -> tuple[FileLock, ...]:
    return wanted_locks(process, any(at.position.has(Role.FILE_LOCK) for at in threads_at(process)))


def _examine_process(process: Process, facts: Facts) -> Case | None:
    waiting = [at for at in threads_at(process) if at.position.has(Role.FILE_LOCK)]
    named = [at for at in threads_at(process) if at.position.waits is WaitKind.TIME and named_for_a_lock(at.position)]
    standing = standing_loop(process)
    made = standing.loop if standing and standing.loop.makes else None
    locks = waited_for(process)
    free = [lock for lock in locks if not set(lock.holders) - {process.pid}]
    if not waiting and not free and not named and not made:
        return None
    case = Case("stale-lock-file")
    where = [process.rank]
    if waiting:
        case.saw("waits", f"waits for a lock file: {waiting[0].where}", "stacks", where)
    elif made:
        where_made = f"{made.function} ({made.file.rpartition('/')[2]}:{made.line})"
        said = f"tries again and again to make a file or folder that is there, as locks are taken: {where_made}"
        case.saw("makes", said, "source", where)
    elif named:
        said = f"sleeps and looks again in a function that is named for a lock: {named[0].where}"
        case.saw("named-so", said, "stacks", where)
    if free:
        path = redact_text(free[0].path)
        case.title = f"{process.rank} waits for the lock file {path}, which nobody has open"
        case.saw("nobody-has-it", f"no process that may be seen has {path} open", "open files", where)
    elif locks:
        said = f"process {locks[0].holders[0]} has {redact_text(locks[0].path)} locked or open"
        case.saw("held", said, "open files", where)
    else:
        case.needs("who made the lock file, and whether that process still runs: ls -l, fuser or lsof of the file")
    if builders := [other for other in facts.processes if other is not process and threads_with(other, Role.COMPILE)]:
        case.saw("builder", "a process is at work that may have made it", "stacks", names(builders))
    if process.state is State.HUNG:
        case.saw("hung", process.state_why or "it hangs", "samples", where)
    elif not process.samples:
        case.saw("dumped", "somebody took a dump of it, as is done of what hangs", "dump", where)
    return case


CAUSE = Cause(
    id="stale-lock-file",
    family="stale-lock-file",
    title="A program waits for a lock file that nobody is left to remove",
    examine=examine,
    not_to_be_confused_with=(
        "While another process builds, downloads or saves under the lock, waiting is right: then that process is at "
        "work, and has the file open or is seen at it. A lock that a live process holds is `file-lock-held`."
    ),
    versions="torch.utils.cpp_extension (FileBaton), filelock's SoftFileLock, and lock files of any program",
    remedies=(
        Remedy("remove-file", "See that nobody is at work under it, then remove the file that the report names"),
        Remedy(
            "lock-that-ends", "Use a lock that ends with its process: flock (filelock.FileLock), not a file's existence"
        ),
        Remedy("lock-timeout", "Wait with a limit, and say whose lock it is: write host and process id into the file"),
    ),
    references=(
        "https://github.com/pytorch/pytorch/blob/main/torch/utils/file_baton.py",
        "https://py-filelock.readthedocs.io/",
    ),
    search_for=("    wait (torch/utils/file_baton.py:49)", "    _jit_compile (torch/utils/cpp_extension.py:1709)"),
)
