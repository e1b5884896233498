"""What a blocked thread waits for, in words, as the kernel tells it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from diagnostics.model import BlockingCall, Collection, FileLock, Process, Thread, WaitKind
from diagnostics.redact import redact_text

Names = Mapping[tuple[str, int], str]
"""(host, pid) -> rank."""

KINDS: Mapping[str, WaitKind] = {
    "mutex": WaitKind.LOCK,
    "socket": WaitKind.SOCKET,
    "pipe": WaitKind.PIPE,
    "file": WaitKind.FILE,
    "terminal": WaitKind.TERMINAL,
    "child": WaitKind.CHILD,
    "time": WaitKind.TIME,
    "signal": WaitKind.SIGNAL,
    "several": WaitKind.WORLD,
    "event": WaitKind.WORLD,
}
"""What ends the wait, by the kind of blocking call. A futex tells nothing: every wait inside a process is one."""

_PLAIN = {"time": "its sleep to end", "signal": "a signal", "terminal": "somebody at its terminal"}
_MOST_NAMES = 4


_SIGNIFICANT = frozenset({"mutex", "socket", "pipe", "file", "child"})


def significant(process: Process) -> tuple[BlockingCall, ...]:
    """Calls that point at somebody or something outside of the thread, the main thread's first."""
    found = [call for call in process.blocking_calls if call.kind in _SIGNIFICANT]
    return tuple(sorted(found, key=lambda call: (call.tid != process.pid, call.tid)))


def wanted_locks(process: Process, asks_again: bool) -> tuple[FileLock, ...]:
    """Locks on files that it waits for; of one that asks again and again, else those that others hold on its files."""
    waits = tuple(lock for lock in process.locks if lock.waits)
    return waits or tuple(lock for lock in process.locks if asks_again and process.pid not in lock.holders)


def names_of(collection: Collection) -> Names:
    return {(process.host, process.pid): process.rank for process in collection.processes}


def words(call: BlockingCall, process: Process, names: Names) -> str:
    """`recvfrom on 198.18.0.1:4000 -> 198.18.0.2:2222 (ps:0), quiet for 31.0 s`; "" where only a stack can tell."""
    if call.owner and not call.holder:
        return f"a mutex that thread {call.owner} has, which is no thread of this process"
    if call.kind == "mutex":
        return f"a mutex that thread {call.holder}{name_of(process, call.holder)} holds"
    if call.kind == "child":
        whose = _listed(process, call.others, names) if call.others else "a child, and it has none"
        return f"the end of {whose}"
    if call.kind == "socket" and " -> " in call.what:
        return f"{call.call} on {call.what}{_peer(process, call)}"
    if call.kind == "pipe" or call.what.startswith("socket:["):
        what = "a pipe" if call.kind == "pipe" else "a Unix socket"
        return f"{call.call} on {what} whose other end {_open_in(process, call, names)}"
    if call.kind in ("socket", "file"):
        return f"{call.call} on {what_of(call)}"
    if call.kind == "futex":
        return ""
    if call.kind == "several":
        return f"any of {call.what}"
    if call.kind == "event":
        return f"an event ({call.what})"
    return _PLAIN.get(call.kind) or f"the system call {call.call.removeprefix('call ')}"


def what_of(call: BlockingCall) -> str:
    """`call.what`, fit to be shown: a path may have a secret in it."""
    return redact_text(call.what) if call.kind == "file" else call.what


def thread_of(process: Process, tid: int) -> Thread | None:
    return next((thread for thread in process.threads if thread.tid == tid), None)


def name_of(process: Process, tid: int) -> str:
    """` (loader)`, "" where the thread has no name."""
    thread = thread_of(process, tid)
    return f" ({thread.name})" if thread and thread.name else ""


def _peer(process: Process, call: BlockingCall) -> str:
    connection = next((one for one in process.connections if f"{one.local} -> {one.remote}" == call.what), None)
    said = f" ({call.peer})" if call.peer else ""
    if connection is None:
        return said
    said += f", quiet for {connection.quiet:.1f} s" if connection.quiet >= 0 else ""
    said += f", {connection.unread} bytes unread" if connection.unread else ""
    return said + (f", {connection.unsent} bytes unsent" if connection.unsent else "")


def _open_in(process: Process, call: BlockingCall, names: Names) -> str:
    others = [pid for pid in call.others if pid != process.pid]
    if others:
        return f"is open in {_listed(process, others, names)}"
    return "only it itself has open" if call.others else "no process has open that may be seen"


def _listed(process: Process, pids: Iterable[int], names: Names) -> str:
    known = [names.get((process.host, pid)) or f"process {pid}" for pid in pids]
    rest = f" and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
    return ", ".join(known[:_MOST_NAMES]) + rest
