"""Who waits at which end of a pipe, as the kernel and the stacks tell it. Pure."""

from __future__ import annotations

from diagnostics.causes.observe import At, call_of
from diagnostics.model import Process, Role, WaitKind

_WRITES = ("write", "send", "pwrite")
_READS = ("read", "recv", "pread")
_AT_A_PIPE = (WaitKind.PIPE, WaitKind.SOCKET, WaitKind.WORLD, WaitKind.UNKNOWN)


def sleeps_in_write(process: Process, tid: int) -> bool:
    """Whether the kernel has it wait to write into a pipe, at every sample."""
    calls = [{t.wchan for t in sample.threads if t.tid == tid} for sample in process.samples]
    return bool(calls) and all(any("pipe_write" in name for name in names) for names in calls)


def writes_to_pipe(at: At) -> bool:
    call = call_of(at.process, at.thread.tid)
    if sleeps_in_write(at.process, at.thread.tid):
        return True
    if call is not None:
        return call.kind == "pipe" and call.call.startswith(_WRITES)
    return _does(at, _WRITES)


def may_write(at: At) -> bool:
    """Its stack says that it writes, and not into what."""
    return _does(at, _WRITES)


def _does(at: At, calls: tuple[str, ...]) -> bool:
    inner = at.thread.frames[-1].function.lstrip("_") if at.thread.frames else ""
    inner = inner.removeprefix("GI_").lstrip("_").removeprefix("libc_").removeprefix("os_")
    return at.position.waits in _AT_A_PIPE and inner.startswith(calls)


def hands_over(at: At) -> bool:
    """Whether it stands in a queue or connection of multiprocessing, which are there for another process."""
    return at.position.has(Role.QUEUE_GET) or at.position.operation.startswith("Connection.")


def other_ends(at: At) -> tuple[str, frozenset[int]]:
    """`read` or `write`, and the processes that have the other end of its pipe or local socket; ("", ()) for none."""
    call = call_of(at.process, at.thread.tid)
    if call is None or not (call.kind == "pipe" or (call.kind == "socket" and " -> " not in call.what)):
        return "", frozenset()
    way = "write" if call.call.startswith(_WRITES) else "read" if call.call.startswith(_READS) else ""
    return way, frozenset(call.others) - {at.process.pid}
