"""Stacks of many ranks merged into one prefix tree with rank sets.

`merge` is associative and commutative with `EMPTY` as its unit, so that hosts can merge first and the order in
which they answer does not matter (tests/unit/test_merge.py holds it to that).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from diagnostics.collect.names import is_noise
from diagnostics.model import Frame, Process, RankClass, StackNode, Thread

Forest = tuple[StackNode, ...]
EMPTY: Forest = ()


def _key(node: StackNode) -> tuple[str, str, bool]:
    return node.function, node.file, node.native


def telling_frames(thread: Thread) -> tuple[Frame, ...]:
    """The thread's frames without libc's way down to the system call."""
    return tuple(frame for frame in thread.frames if not is_noise(frame))


_DEEPEST = 300


def shortened(frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """The frames, of a very deep stack (a runaway recursion) only both ends."""
    if len(frames) <= _DEEPEST:
        return frames
    left_out = len(frames) - _DEEPEST
    return (*frames[: _DEEPEST // 2], Frame(f"({left_out} frames left out)"), *frames[-_DEEPEST // 2 :])


def tree_of(rank: str, thread: Thread) -> Forest:
    """The tree of a single stack: a chain."""
    chain: Forest = EMPTY
    for frame in reversed(shortened(telling_frames(thread))):
        chain = (StackNode(frame.function, frame.file, frame.native, (rank,), 1, chain),)
    return chain


def merge(left: Forest, right: Forest) -> Forest:
    """Both forests in one; nodes of the same function and file become one node with the ranks of both."""
    nodes = {_key(node): node for node in left}
    for node in right:
        known = nodes.get(_key(node))
        nodes[_key(node)] = _join(known, node) if known else node
    return tuple(nodes[key] for key in sorted(nodes))


def _join(left: StackNode, right: StackNode) -> StackNode:
    return StackNode(
        function=left.function,
        file=left.file,
        native=left.native,
        ranks=tuple(sorted({*left.ranks, *right.ranks})),
        threads=left.threads + right.threads,
        children=merge(left.children, right.children),
    )


def merge_processes(processes: Iterable[Process]) -> Forest:
    """One tree of all threads of all ranks."""
    return reduce(
        merge, (tree_of(process.rank, thread) for process in processes for thread in process.threads), EMPTY
    )


def main_thread(process: Process) -> Thread | None:
    """The thread that the program started with; the kernel gives it the process's own id."""
    for thread in process.threads:
        if thread.tid == process.pid:
            return thread
    return process.threads[0] if process.threads else None


def waits_in(thread: Thread | None) -> str:
    """The innermost frame that tells something: what the framework calls it, not how libc sleeps."""
    if thread is None or not thread.frames:
        return ""
    telling = [frame for frame in telling_frames(thread) if not _is_plumbing(frame)]
    return (telling or list(thread.frames))[-1].function


_PLUMBING = ("nsync::", "pthread_", "__pthread_", "std::", "gpr_", "__GI_", "sem_", "epoll_", "absl::")
_CALLS = frozenset({"syscall", "poll", "select", "read", "__read", "__select", "__poll", "__clone3", "start_thread"})


def _is_plumbing(frame: Frame) -> bool:
    name = frame.function
    hidden = "WaitForNotification" in name or name.endswith("StdThread::~StdThread")
    return frame.native and (hidden or name.startswith(_PLUMBING) or name in _CALLS)


def classes_of(processes: Iterable[Process]) -> tuple[RankClass, ...]:
    """Ranks whose main threads have the same stack."""
    alike: dict[object, list[Process]] = {}
    for process in processes:
        main = main_thread(process)
        shape = tuple((frame.function, frame.file) for frame in telling_frames(main)) if main else None
        alike.setdefault(shape, []).append(process)
    found = [
        RankClass(
            ranks=tuple(sorted(process.rank for process in group)),
            waits_in=waits_in(main_thread(group[0])),
            states=tuple(sorted({process.state for process in group})),
        )
        for group in alike.values()
    ]
    return tuple(sorted(found, key=lambda group: (len(group.ranks), group.ranks)))
