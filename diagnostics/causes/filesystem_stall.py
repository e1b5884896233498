"""A thread waits inside a file system call that does not come back.

What carries the cause: the kernel has a thread in a wait for a file or for its server, the same one at every sample.
Reading a regular file takes microseconds where the storage answers.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.causes.base import Case, Cause, Remedy
from diagnostics.causes.observe import At, call_of
from diagnostics.model import GONE, Frame, Process, Role, State, ThreadSample, WaitKind
from diagnostics.stacks.position import KERNEL, pairs
from diagnostics.stacks.stand import stand_of

_LEFT_OUT = (State.PROGRESSING, *GONE)


def _waits_for_file(name: str) -> bool:
    """Whether a kernel function is one in which the waits for a file or its server are."""
    stand = stand_of((Frame(name, KERNEL, native=True),)) if name else None
    return stand is not None and stand.waits is WaitKind.FILE and Role.FILE_LOCK not in stand.roles


def waiting(process: Process) -> list[tuple[ThreadSample, str]]:
    """Threads that were in the same wait for a file at both samples, with the kernel's name of the wait."""
    if len(process.samples) < 2:
        return []
    before = {thread.tid: thread for thread in process.samples[0].threads}
    return [
        (thread, thread.wchan)
        for thread in process.samples[-1].threads
        if (earlier := before.get(thread.tid))
        and (earlier.wchan, earlier.syscall, earlier.voluntary) == (thread.wchan, thread.syscall, thread.voluntary)
        and _waits_for_file(thread.wchan)
    ]


def _in_dump(process: Process) -> list[At]:
    """Threads whose kernel stack, in a dump, is in a file system; or that a sample has in state D at a file."""
    letters = {thread.tid: thread.state for sample in process.samples[-1:] for thread in sample.threads}
    return [
        At(process, thread, position)
        for thread, position in pairs(process)
        if position.waits is WaitKind.FILE
        and not position.has(Role.FILE_LOCK)
        and (
            any(frame.file == KERNEL and _waits_for_file(frame.function) for frame in thread.frames)
            or (letters.get(thread.tid) == "D" and (call := call_of(process, thread.tid)) and call.kind == "file")
        )
    ]


def examine(facts: Facts) -> Case | None:
    stuck = [(process, found) for process in facts.processes if (found := waiting(process))]
    dumped = [(p, ats) for p in facts.processes if p.state not in _LEFT_OUT and (ats := _in_dump(p))]
    if not stuck and not dumped:
        return None
    case = Case("filesystem-stall")
    who = dict.fromkeys([process.rank for process, _ in stuck] + [process.rank for process, _ in dumped])
    case.title = f"{', '.join(who)} waits for a file system that does not answer"
    for process, found in stuck:
        said = (
            f"{len(found)} threads wait for a file system to answer ({found[0][1]}), in the same call at both samples"
        )
        case.saw("waits", said, "wchan", [process.rank])
        if any(thread.state == "D" for thread, _ in found):
            case.saw("state-d", "in uninterruptible sleep: not even a signal ends it", "process states", [process.rank])
    for process, at in [(process, ats[0]) for process, ats in dumped]:
        waits = at.position.waits_for or at.position.operation or at.position.waits.words
        case.saw("waits-in-kernel", f"a thread is inside a file system call: {waits}", "stacks", [process.rank])
    for process in [process for process, _ in stuck] + [process for process, _ in dumped]:
        if process.state is State.HUNG:
            case.saw("hung", process.state_why or "it hangs", "samples", [process.rank])
        elif not process.samples:
            case.saw("dumped", "somebody took a dump of it, as is done of what hangs", "dump", [process.rank])
    if not facts.hung and any(process.samples for process in facts.processes):
        case.saw("no-rank-hangs", "no rank hangs", "samples")
    return case


CAUSE = Cause(
    id="filesystem-stall",
    family="filesystem-stall",
    title="A rank waits for a file system that does not answer",
    examine=examine,
    not_to_be_confused_with="A slow disk answers in the end: then the call is another one in the second sample.",
    versions="any",
    remedies=(
        Remedy(
            "look-at-mount",
            "Look at the server of the mount, and at the way to it: mount, nfsstat, the storage's own health page",
        ),
        Remedy(
            "local-copy",
            "Copy the input to a local disk before training, or let the client give up (soft, timeo, retrans)",
        ),
    ),
    references=(
        "https://man7.org/linux/man-pages/man5/nfs.5.html",
        "https://docs.kernel.org/filesystems/fuse/fuse.html",
    ),
    scenario="nfs-like-stall",
    search_for=("$ cat /proc/4711/task/4711/wchan", "request_wait_answer"),
)
