"""A thread waits inside a file system call that does not come back."""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.causes.base import Case, Cause, Remedy
from diagnostics.model import Process, State, ThreadSample

_KERNEL_WAITS = (
    "request_wait_answer", "fuse_", "nfs", "rpc_wait_bit_killable", "cifs_", "smb", "ceph_", "p9_client", "lustre",
    "folio_wait", "wait_on_page", "io_schedule", "wait_on_buffer", "jbd2_", "xfs_", "ext4_", "blkdev_", "gfs2_",
)  # fmt: skip
"""Beginnings of the kernel functions in which the waits for a file or its device are."""


def waiting(process: Process) -> list[tuple[ThreadSample, str]]:
    """Threads that were in the same wait for a file at both looks, with the kernel's name of the wait."""
    if len(process.samples) < 2:
        return []
    before = {thread.tid: thread for thread in process.samples[0].threads}
    return [
        (thread, thread.wchan)
        for thread in process.samples[-1].threads
        if thread.wchan.startswith(_KERNEL_WAITS)
        and (earlier := before.get(thread.tid))
        and (earlier.wchan, earlier.syscall, earlier.voluntary) == (thread.wchan, thread.syscall, thread.voluntary)
    ]


def examine(facts: Facts) -> Case | None:
    stuck = [(process, found) for process in facts.processes if (found := waiting(process))]
    if not stuck:
        return None
    case = Case("filesystem-stall")
    case.title = f"{', '.join(process.rank for process, _ in stuck)} waits for a file system that does not answer"
    for process, found in stuck:
        wait = found[0][1]
        said = f"{len(found)} threads wait for a file system to answer ({wait}), at both looks in the same call"
        case.saw("waits", said, "wchan", [process.rank])
        if process.state is State.HUNG:
            case.saw("hung", "nothing else of it moves", "two samples", [process.rank])
        if any(thread.state == "D" for thread, _ in found):
            said = "in uninterruptible sleep: not even a signal ends it"
            case.saw("state-d", said, "process states", [process.rank])
    if not facts.hung:
        case.saw("no-rank-hangs", "no rank hangs", "recorder")
    return case


CAUSE = Cause(
    id="filesystem-stall",
    family="filesystem-stall",
    title="A rank waits for a file system that does not answer",
    examine=examine,
    not_to_be_confused_with="A slow disk answers in the end: then the call is another one at the second look.",
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
