"""Stacks as folded lines, which flamegraph.pl, speedscope and many other viewers read.

A line is `frame;frame;frame COUNT`, outermost first (the README of brendangregg/FlameGraph); here COUNT is threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from diagnostics.model import StackNode
from diagnostics.report.stacks import short_path
from diagnostics.report.text import compact_ranks, sanitize_text


def render_folded(tree: Iterable[StackNode]) -> str:
    """A line for each place where stacks of the merged tree end.

    A frame tells its ranks where these are others than those of the frame that called it: `train (job/train.py)
    [worker:0-2]`. That depends on the way to the frame alone, so that viewers join what belongs together.
    """
    return "".join(f"{line}\n" for line in sorted(_lines(tree)))


def _lines(tree: Iterable[StackNode]) -> Iterator[str]:
    ways: list[tuple[StackNode, str, tuple[str, ...]]] = [(node, "", ()) for node in tree]
    while ways:  # no recursion: stacks may be deep
        node, way, ranks = ways.pop()
        way += _frame(node, ranks)
        ending = node.threads - sum(child.threads for child in node.children)
        if ending > 0 or not node.children:
            yield f"{way} {max(ending, 1)}"
        ways += [(child, f"{way};", node.ranks) for child in node.children]


def _frame(node: StackNode, above: tuple[str, ...]) -> str:
    place = "" if node.native or not node.file else f" ({short_path(node.file)})"
    whose = "" if node.ranks == above else f" [{compact_ranks(node.ranks)}]"
    return sanitize_text(f"{node.function or '??'}{place}{whose}").replace(";", ":")
