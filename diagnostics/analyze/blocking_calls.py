"""What a sleeping thread waits for, in words: as the kernel tells it, and by its stack where the kernel cannot know.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from diagnostics.analyze.thread_waits import For, wait_of
from diagnostics.model import BlockingCall, Collection, Process, Thread
from diagnostics.redact import redact_text

Names = Mapping[tuple[str, int], str]
"""(host, pid) -> rank."""

TELLING = frozenset({"mutex", "socket", "pipe", "file", "child"})
"""Kinds that point at somebody or something outside of the thread."""

_PLAIN = {"time": "a time", "signal": "a signal", "terminal": "somebody at its terminal"}
_MOST_NAMES = 4


def names_of(collection: Collection) -> Names:
    return {(process.host, process.pid): process.rank for process in collection.processes}


def telling(process: Process) -> tuple[BlockingCall, ...]:
    """The process's sleeps that point at somebody, its main thread's first."""
    found = [sleep for sleep in process.blocking_calls if sleep.kind in TELLING]
    return tuple(sorted(found, key=lambda sleep: (sleep.tid != process.pid, sleep.tid)))


def words(sleep: BlockingCall, process: Process, names: Names) -> str:
    """`recvfrom on 198.18.0.1:4000 -> 198.18.0.2:2222 (ps:0), quiet for 31.0 s`."""
    if sleep.kind == "mutex":
        return f"a mutex that thread {sleep.holder}{_name_of(process, sleep.holder)} holds"
    if sleep.kind == "child":
        whose = _listed(process, sleep.others, names) if sleep.others else "a child, and it has none"
        return f"the end of {whose}"
    if sleep.kind == "socket" and " -> " in sleep.what:
        return f"{sleep.call} on {sleep.what}{_peer(process, sleep)}"
    if sleep.kind == "pipe" or sleep.what.startswith("socket:["):
        what = "a pipe" if sleep.kind == "pipe" else "a Unix socket"
        return f"{sleep.call} on {what} whose other end {_open_in(process, sleep, names)}"
    if sleep.kind in ("socket", "file"):
        return f"{sleep.call} on {what_of(sleep)}"
    if sleep.kind == "futex":
        return f"{_by_stack(process, sleep.tid)} (futex)"
    if sleep.kind == "several":
        return f"any of {sleep.what}"
    if sleep.kind == "event":
        return f"an event ({sleep.what})"
    return _PLAIN.get(sleep.kind) or f"the system call {sleep.call.removeprefix('call ')}"


def what_of(sleep: BlockingCall) -> str:
    """`sleep.what`, fit to be shown: a path may have a secret in it."""
    return redact_text(sleep.what) if sleep.kind == "file" else sleep.what


def holder_of_gil(process: Process) -> int:
    """The thread that holds the interpreter lock, 0 where none is seen to."""
    return next((thread.tid for thread in process.threads if thread.holds_gil), 0)


def _thread(process: Process, tid: int) -> Thread | None:
    return next((thread for thread in process.threads if thread.tid == tid), None)


def _name_of(process: Process, tid: int) -> str:
    thread = _thread(process, tid)
    return f" ({thread.name})" if thread and thread.name else ""


def _by_stack(process: Process, tid: int) -> str:
    thread = _thread(process, tid)
    waits = wait_of(thread).waits if thread and thread.frames else For.UNKNOWN
    if waits is For.GIL and (holder := holder_of_gil(process)):
        return f"the interpreter lock, which thread {holder}{_name_of(process, holder)} holds"
    return "a lock or a notification" if waits is For.UNKNOWN else waits.value


def _peer(process: Process, sleep: BlockingCall) -> str:
    link = next((link for link in process.connections if f"{link.local} -> {link.remote}" == sleep.what), None)
    said = f" ({sleep.peer})" if sleep.peer else ""
    if link is None:
        return said
    said += f", quiet for {link.quiet:.1f} s" if link.quiet >= 0 else ""
    said += f", {link.unread} bytes unread" if link.unread else ""
    return said + (f", {link.unsent} bytes unsent" if link.unsent else "")


def _open_in(process: Process, sleep: BlockingCall, names: Names) -> str:
    others = [pid for pid in sleep.others if pid != process.pid]
    if others:
        return f"is open in {_listed(process, others, names)}"
    return "only it itself has open" if sleep.others else "no process has open that may be seen"


def _listed(process: Process, pids: Iterable[int], names: Names) -> str:
    known = [names.get((process.host, pid)) or f"process {pid}" for pid in pids]
    rest = f" and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
    return ", ".join(known[:_MOST_NAMES]) + rest
