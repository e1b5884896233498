"""Who holds a lock of Python, which has no owner: by the places where the source takes locks. Pure."""

from __future__ import annotations

from typing import NamedTuple

from diagnostics.model import Process
from diagnostics.redact import redact_text
from diagnostics.stacks.blocked import name_of


class BySource(NamedTuple):
    """The one other thread that stands where its source holds a lock that is called so."""

    tid: int
    words: str


def holder_by_source(process: Process, tid: int) -> BySource | None:
    """Who holds the lock that this thread is about to take; None where that may be nobody, or several."""
    for wanted in (one for one in process.lock_blocks if one.wanted and one.tid == tid):
        held = [one for one in process.lock_blocks if not one.wanted and one.tid != tid]
        alike = [one for one in held if one.name == wanted.name] or [one for one in held if _of(one.name, wanted.name)]
        if len({one.tid for one in alike}) == 1:
            holder = alike[0].tid
            said = f"the lock `{redact_text(wanted.name)}`, which thread {holder}{name_of(process, holder)} holds"
            return BySource(holder, f"{said} by its source")
    return None


def holds_by_source(process: Process, tid: int) -> bool:
    """Whether the thread is about to take, once more, the lock that it holds, and no other thread holds one like it."""
    own = {(one.name, one.wanted) for one in process.lock_blocks if one.tid == tid}
    again = any((name, False) in own for name, wanted in own if wanted)
    return again and holder_by_source(process, tid) is None


def _of(name: str, other: str) -> bool:
    """Whether two may be the same lock, of an object that each calls by another name."""
    return name.rpartition(".")[2] == other.rpartition(".")[2]
