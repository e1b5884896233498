"""Stacks of many ranks merged into one prefix tree with rank sets.

`merge` is associative and commutative with `EMPTY` as its unit, so that hosts can merge first and the order in
which they answer does not matter (tests/fast/test_merge.py holds it to that).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain

from diagnostics.model import Frame, Process, RankClass, Record, StackNode, State, Thread
from diagnostics.stacks.demangle import is_noise
from diagnostics.stacks.symbol import Owner, Weight
from diagnostics.stacks.symbols import meanings, owner_of

Forest = tuple[StackNode, ...]
EMPTY: Forest = ()


def _key(node: StackNode) -> tuple[str, str, bool]:
    return node.function, node.file, node.native


def significant_frames(thread: Thread) -> tuple[Frame, ...]:
    """The thread's frames without libc's way down to the system call."""
    return significant(thread.frames)


def significant(frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    return tuple(frame for frame in frames if not is_noise(frame))


_DEEPEST = 300


def shortened(frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """The frames, of a very deep stack (a runaway recursion) only both ends."""
    if len(frames) <= _DEEPEST:
        return frames
    left_out = len(frames) - _DEEPEST
    return (*frames[: _DEEPEST // 2], Frame(f"({left_out} frames left out)"), *frames[-_DEEPEST // 2 :])


class Unions:
    """Sets of ranks joined, each combination once: along a stack the same sets meet again and again."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], tuple[str, ...]] = {}
        self._kept: list[object] = []  # an id names a set only as long as the set lives

    def of(self, sets: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
        """All of them, in order, each once."""
        if len(sets) == 1:
            return sets[0]
        key = tuple(map(id, sets))
        if key not in self._known:
            self._kept.append(sets)
            # Each is in order already, so that sorting only merges them.
            self._known[key] = tuple(dict.fromkeys(sorted(chain.from_iterable(dict.fromkeys(sets)))))
        return self._known[key]


def merge(left: Forest, right: Forest) -> Forest:
    """Both forests in one; nodes of the same function and file become one node with the ranks of both."""
    return merge_all([left, right])


def merge_all(forests: Sequence[Forest]) -> Forest:
    """All forests in one, at a cost that grows with their size, whatever their number."""
    return _merge_all(forests, Unions())


def _merge_all(forests: Sequence[Forest], unions: Unions) -> Forest:
    groups: dict[tuple[str, str, bool], list[StackNode]] = {}
    for forest in forests:
        for node in forest:
            groups.setdefault(_key(node), []).append(node)
    return tuple(_join(groups[key], unions) for key in sorted(groups))


def _join(nodes: Sequence[StackNode], unions: Unions) -> StackNode:
    first = nodes[0]
    if len(nodes) == 1:
        return first
    return StackNode(
        function=first.function,
        file=first.file,
        native=first.native,
        ranks=unions.of([node.ranks for node in nodes]),
        threads=sum([node.threads for node in nodes]),
        children=_merge_all([node.children for node in nodes], unions),
    )


Stack = tuple[tuple[Frame, ...], tuple[str, ...], int]
"""Frames, the ranks that have a thread with these, and how many threads."""


def _chain(stack: Stack, depth: int) -> Forest:
    """The rest of a stack that shares it with no other."""
    frames, ranks, threads = stack
    nodes: Forest = ()
    for frame in reversed(frames[depth:]):
        nodes = (StackNode(frame.function, frame.file, frame.native, ranks, threads, nodes),)
    return nodes


def _tree_of_stacks(stacks: Sequence[Stack], unions: Unions, depth: int = 0) -> Forest:
    if len(stacks) == 1:
        return _chain(stacks[0], depth)
    groups: dict[tuple[str, str, bool], list[Stack]] = {}
    for stack in stacks:
        frames = stack[0]
        if len(frames) > depth:
            frame = frames[depth]
            groups.setdefault((frame.function, frame.file, frame.native), []).append(stack)
    return tuple(
        StackNode(
            *key,
            ranks=unions.of([ranks for _, ranks, _ in group]),
            threads=sum([count for _, _, count in group]),
            children=_tree_of_stacks(group, unions, depth + 1),
        )
        for key, group in sorted(groups.items())
    )


def merge_processes(processes: Iterable[Process]) -> Forest:
    """One tree of all threads of all ranks. Threads with equal stacks, which are most, are only counted."""
    counts: defaultdict[tuple[Frame, ...], dict[str, int]] = defaultdict(dict)
    for process in processes:
        rank = process.rank
        for thread in process.threads:
            ranks = counts[thread.frames]
            ranks[rank] = ranks.get(rank, 0) + 1
    sets: dict[tuple[str, ...], tuple[str, ...]] = {}
    stacks = [
        (
            shortened(significant(frames)),
            sets.setdefault(names := tuple(sorted(ranks)), names),
            sum(ranks.values()),
        )
        for frames, ranks in counts.items()
    ]
    return _tree_of_stacks(stacks, Unions())


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
    significant = [frame for frame in significant_frames(thread) if not is_plumbing(frame)]
    return (significant or list(thread.frames))[-1].function


def is_plumbing(frame: Frame) -> bool:
    """Whether a compiled function is only part of how something waits."""
    found = meanings(frame) if frame.native else ()
    primitive = bool(found) and all(meaning.weight is Weight.PRIMITIVE and not meaning.roles for meaning in found)
    return frame.native and (owner_of(frame) is Owner.SYSTEM or primitive)


class Alike(Record, frozen=True):
    """Ranks whose main threads have the same stack, on the way to a `RankClass`: these can still be merged."""

    stack: tuple[Frame, ...] | None
    ranks: tuple[str, ...]
    states: tuple[State, ...]


def classes_of(processes: Iterable[Process]) -> tuple[RankClass, ...]:
    """Ranks whose main threads have the same stack; the smallest class, which tells most, first."""
    return rank_classes(alike_of(processes))


def alike_of(processes: Iterable[Process]) -> tuple[Alike, ...]:
    groups: dict[tuple[Frame, ...] | None, list[Process]] = {}
    for process in processes:
        main = main_thread(process)
        groups.setdefault(main.frames if main else None, []).append(process)
    return merge_alike(
        [
            Alike(_shape(stack), tuple(sorted(p.rank for p in group)), tuple(sorted({p.state for p in group})))
            for stack, group in groups.items()
        ]
    )


def _shape(stack: tuple[Frame, ...] | None) -> tuple[Frame, ...] | None:
    """Without lines: ranks that stand a line apart in the same function are alike."""
    if stack is None:
        return None
    return tuple(Frame(frame.function, frame.file, native=frame.native) for frame in significant(stack))


def merge_alike(parts: Iterable[Alike]) -> tuple[Alike, ...]:
    """The same stack once, with the ranks of all parts. Associative and commutative."""
    groups: dict[tuple[Frame, ...] | None, list[Alike]] = {}
    for part in parts:
        groups.setdefault(part.stack, []).append(part)
    unions = Unions()
    return tuple(
        Alike(
            stack, unions.of([part.ranks for part in group]), tuple(sorted({s for part in group for s in part.states}))
        )
        for stack, group in groups.items()
    )


def rank_classes(parts: Iterable[Alike]) -> tuple[RankClass, ...]:
    found = [
        RankClass(part.ranks, waits_in(Thread(0, frames=part.stack) if part.stack else None), part.states)
        for part in parts
    ]
    return tuple(sorted(found, key=lambda group: (len(group.ranks), group.ranks)))
