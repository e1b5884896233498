"""Processes wait for each other's locks on files: each holds the one that the next wants.

Who holds such a lock is known to the kernel (/proc/locks), also of those that databases in files take (SQLite). What
carries the cause: the waits, which go round in a circle.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts, names
from diagnostics.analyze.wait_graph import cycles, graph_of, rank_in
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import main_at
from diagnostics.model import State, Wait, WaitKind

_SHOWN = 6


def examine(facts: Facts) -> Case | None:
    locks = [wait for wait in facts.waits if wait.kind is WaitKind.LOCK and wait.why.startswith("the lock on ")]
    return likeliest(_examine_circle(set(group), locks, facts) for group in cycles(graph_of(locks)))


def _examine_circle(group: set[str], locks: list[Wait], facts: Facts) -> Case | None:
    inner = [wait for wait in locks if wait.rank in group and wait.on in group]
    ranks = list(dict.fromkeys(rank_in(wait.rank) for wait in inner))
    if len(ranks) < 2:
        return None
    case = Case("file-lock-order")
    case.title = f"{', '.join(ranks[:_SHOWN])} wait for each other's locks on files"
    standing = {process.rank: process for process in facts.processes if process.rank in ranks}
    for wait in inner[:_SHOWN]:
        main = main_at(standing[rank_in(wait.rank)]) if rank_in(wait.rank) in standing else None
        at = f": {main.where}" if main else ""
        said = f"waits for {wait.why}, which {rank_in(wait.on)} holds{at}"
        case.saw("circle", said, "/proc/locks, stacks", [rank_in(wait.rank)])
    if hung := [process for process in standing.values() if process.state is State.HUNG]:
        case.saw("hung", hung[0].state_why or "it hangs", "samples", names(hung))
    return case


CAUSE = Cause(
    id="file-lock-order",
    family="lock-order",
    title="Processes wait for each other's locks on files",
    examine=examine,
    not_to_be_confused_with=(
        "A lock whose holder waits for something else is `file-lock-held`; locks between threads of one process are "
        "`lock-order`."
    ),
    versions="flock, lockf and fcntl locks of any program, SQLite",
    remedies=(
        Remedy("one-order", "Take the locks in one order everywhere: the evidence names them, and who holds which"),
        Remedy("one-lock", "Or hold only one at a time: let go of the first before the second is asked for"),
        Remedy("lock-timeout", "Or take them with a limit (flock -w, busy_timeout), and let go of all when it passes"),
    ),
    references=("https://man7.org/linux/man-pages/man5/proc_locks.5.html", "https://www.sqlite.org/lockingv3.html"),
    search_for=("$ cat /proc/locks",),
)
