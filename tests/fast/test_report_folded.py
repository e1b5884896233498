"""Folded stacks: what flamegraph.pl and speedscope read, with the ranks where they part."""

from __future__ import annotations

import re

import pytest
import report_hostile
import report_samples

from diagnostics.model import Frame, Process, StackNode, Thread
from diagnostics.report.folded import render_folded
from diagnostics.stacks.prefix_tree import merge_processes

LINE = re.compile(r"(?P<stack>\S.*) (?P<count>[1-9][0-9]*)")


def read(text: str) -> dict[tuple[str, ...], int]:
    """As flamegraph.pl reads it: the last word is a count, what stands before it is divided by semicolons."""
    matches = [LINE.fullmatch(line) for line in text.splitlines()]
    assert all(matches), text
    found = {tuple(match["stack"].split(";")): int(match["count"]) for match in matches if match}
    assert len(found) == len(matches), "a stack has two lines"
    return found


def process(rank: str, *stacks: str) -> Process:
    threads = (
        Thread(number, frames=tuple(Frame(name, "/srv/job/train.py") for name in stack.split()))
        for number, stack in enumerate(stacks, 1)
    )
    return Process(rank, 1, "h", threads=tuple(threads))


def test_a_frame_tells_its_ranks_where_they_part() -> None:
    ranks = [process(f"worker:{index}", "main train all_reduce") for index in range(3)]
    ranks.append(process("worker:3", "main train save", "main serve"))
    assert render_folded(merge_processes(ranks)) == (
        "main (job/train.py) [worker:0-3];serve (job/train.py) [worker:3] 1\n"
        "main (job/train.py) [worker:0-3];train (job/train.py);all_reduce (job/train.py) [worker:0-2] 3\n"
        "main (job/train.py) [worker:0-3];train (job/train.py);save (job/train.py) [worker:3] 1\n"
    )


def test_a_stack_that_ends_within_another_is_counted() -> None:
    stacks = read(render_folded(merge_processes([process("w:0", "main train", "main train step", "main")])))
    assert sorted((len(stack), count) for stack, count in stacks.items()) == [(1, 1), (2, 1), (3, 1)]


def test_every_thread_is_in_it() -> None:
    collection, diagnosis = report_samples.last_batch_hang()
    stacks = read(render_folded(diagnosis.tree))
    assert sum(stacks.values()) == sum(len(process.threads) for process in collection.processes) > 5


@pytest.mark.parametrize("hostile", [*report_hostile.HOSTILE, "a;b 7\nc 8", ""])
def test_hostile_text_makes_no_line_and_no_frame(hostile: str) -> None:
    node = StackNode(hostile, hostile, False, (hostile,), 1, (StackNode("inner", "", True, (hostile,), 1),))
    ((stack, count),) = read(render_folded([node])).items()
    assert (len(stack), stack[1], count) == (2, "inner", 1)


def test_a_stack_of_any_depth_can_be_written() -> None:
    node = StackNode("leaf", "", True, ("w:0",), 1)
    for _ in range(5_000):
        node = StackNode("again", "", True, ("w:0",), 1, (node,))
    ((stack, _),) = read(render_folded([node])).items()
    assert len(stack) == 5_001
