"""The merged stacks as a reader wants them: chains of frames in one block, idle pool threads set apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from diagnostics.model import Frame, StackNode
from diagnostics.report.text import compact_ranks, sanitize_text
from diagnostics.stacks.prefix_tree import is_plumbing
from diagnostics.stacks.stand import is_home, only_waits

DEEPEST = 60
"""Forks in a row that are drawn; no real job comes near, and each costs indentation."""


class FrameLine(NamedTuple):
    function: str
    file: str  # short: the end of a path
    native: bool


class Block(NamedTuple):
    """Frames that the same threads pass through one after the other, then where they part."""

    frames: tuple[FrameLine, ...]
    ranks: str
    threads: int
    children: tuple[Block, ...]

    def walk(self) -> Iterator[Block]:
        yield self
        for child in self.children:
            yield from child.walk()


class Stacks(NamedTuple):
    """`busy` are the stacks to look at, `idle` those of pool threads that wait for work."""

    busy: tuple[Block, ...]
    idle: tuple[Block, ...]
    busy_threads: int  # these count also what the limit cut off
    idle_threads: int
    left_out: int  # frames beyond the limit


class _Part(NamedTuple):
    """A node with only those of its threads that are idle, or only those that are not."""

    line: FrameLine
    threads: int
    ranks: frozenset[str]
    python: bool  # here or below
    children: tuple[_Part, ...]


def stacks_of(tree: Iterable[StackNode], limit: int = 100_000) -> Stacks:
    """Blocks of `tree`, at most about `limit` characters of them; Python stacks and rare ones first."""
    busy: list[_Part] = []
    idle: list[_Part] = []
    for root in tree:
        for parts, home in zip(_split(root), (busy, idle), strict=True):
            home += parts
    budget = _Budget(limit)
    return Stacks(
        tuple(_block(part, budget) for part in _ordered(busy) if budget.take(part)),
        tuple(_block(part, budget) for part in _ordered(idle) if budget.take(part)),
        sum(part.threads for part in busy),
        sum(part.threads for part in idle),
        budget.left_out,
    )


def _ordered(parts: Iterable[_Part]) -> list[_Part]:
    return sorted(parts, key=lambda part: (not part.python, part.threads))


def _split(root: StackNode) -> tuple[list[_Part], list[_Part]]:
    """The threads under `root` that are not idle, and those that are. No recursion: stacks may be deep."""
    order: list[tuple[StackNode, bool, list[int]]] = [(root, is_home(_frame(root)), [])]
    for node, above, below in order:  # it grows while it is walked: children come after the node above them
        for child in node.children:
            below.append(len(order))
            # An idle frame stands here or above, and nothing but waiting since.
            order.append((child, is_home(_frame(child)) or (above and only_waits(_frame(child))), []))
    done: dict[int, tuple[list[_Part], list[_Part]]] = {}
    for index in range(len(order) - 1, -1, -1):
        node, waits, below = order[index]
        parts = [done.pop(child) for child in below]
        # The model does not tell how many stacks end in a node, so it is what its children leave over.
        ends = max(node.threads - sum(child.threads for child in node.children), 0 if node.children else 1)
        line = FrameLine(sanitize_text(node.function) or "??", short_path(sanitize_text(node.file)), node.native)
        done[index] = (
            _part(node, line, [part for busy, _ in parts for part in busy], 0 if waits else ends),
            _part(node, line, [part for _, idle in parts for part in idle], ends if waits else 0),
        )
    return done[0]


def _frame(node: StackNode) -> Frame:
    return Frame(node.function, node.file, native=node.native)


def _part(node: StackNode, line: FrameLine, children: list[_Part], ends: int) -> list[_Part]:
    if not ends and not children:
        return []
    # Whose stacks end here cannot be told from whose go on.
    ranks = frozenset(node.ranks) if ends else frozenset().union(*(part.ranks for part in children))
    python = not node.native or any(part.python for part in children)
    return [_Part(line, ends + sum(part.threads for part in children), ranks, python, tuple(children))]


class _Budget:
    """Characters left for the stacks, and how many frames did not fit."""

    def __init__(self, characters: int) -> None:
        self.characters = characters
        self.left_out = 0

    def take(self, part: _Part, depth: int = 0) -> bool:
        if self.characters > 0 and depth < DEEPEST:
            self.characters -= 120
            return True
        stack = [part]
        while stack:
            part = stack.pop()
            self.left_out += 1
            stack += part.children
        return False

    def spend(self, line: FrameLine) -> None:
        self.characters -= len(line.function) + len(line.file) + 40


def _block(part: _Part, budget: _Budget, depth: int = 0) -> Block:
    frames = [part.line]
    ranks, threads = part.ranks, part.threads
    while len(part.children) == 1 and part.children[0].ranks == ranks and part.children[0].threads == threads:
        part = part.children[0]
        frames.append(part.line)
    for line in frames:
        budget.spend(line)
    return Block(
        tuple(frames),
        compact_ranks(sanitize_text(rank) for rank in ranks),
        threads,
        tuple(
            _block(child, budget, depth + 1)
            for child in _ordered(part.children)
            if budget.take(child, depth + 1)
        ),
    )


def short_path(path: str) -> str:
    """The last two parts of a path to a source, the last of one to a library: enough to know it by."""
    parts = path.rsplit("/", 2)
    return "/".join(parts[-2:]) if len(parts) == 3 and ".so" not in parts[-1] else parts[-1]


def wait_line(block: Block) -> FrameLine:
    """The frame that says most about what a block waits for: the innermost that is not a plain wait."""
    for line in reversed(block.frames):
        if not is_plumbing(Frame(line.function, line.file, native=line.native)):
            return line
    return block.frames[-1]
