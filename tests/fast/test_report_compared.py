"""Two bundles of one job are compared: who moved, who is new, who is gone; a place that was not seen is no movement."""

from __future__ import annotations

import msgspec
import report_samples

from diagnostics.model import Collection, Frame, Process, State, Thread
from diagnostics.pipeline import explain
from diagnostics.report.moved import compare, comparison_document, comparison_lines


def rank(name: str, pid: int, line: int = 0) -> Process:
    frames = (Frame("main", "/job/train.py", 9, False), Frame("fit", "/job/train.py", line, False))
    thread = Thread(pid, name="MainThread", frames=frames)
    return Process(name, pid, "node-a", threads=(thread,) if line else ())


def look(*ranks: Process) -> Collection:
    collection, _ = report_samples.empty()
    return explain(msgspec.structs.replace(collection, processes=ranks))[0]


def test_who_moved_who_came_and_who_left() -> None:
    before = look(rank("worker:0", 1, 20), rank("worker:1", 2, 20), rank("worker:2", 3, 20), rank("worker:3", 4, 20))
    after = look(rank("worker:0", 1, 20), rank("worker:1", 2, 31), rank("worker:2", 3), rank("worker:4", 5, 20))
    comparison = compare(before, after)
    assert {one.rank: one.moved for one in comparison.ranks} == {"worker:0": False, "worker:1": True, "worker:2": None}
    assert comparison.new == ("worker:4",) and comparison.gone == ("worker:3",)
    lines = comparison_lines(comparison)
    assert lines[0].startswith("worker:1: from ") and "train.py:20" in lines[0] and "train.py:31" in lines[0]
    assert "not known" in lines[1] and "same place" in lines[2] and lines[-1] == "worker:3: gone in the second"


def test_a_rank_that_started_again_and_a_state_that_changed_are_told() -> None:
    before, after = look(rank("worker:0", 1, 20)), look(rank("worker:0", 7, 20))
    hung = msgspec.structs.replace(after.processes[0], state=State.HUNG)
    comparison = compare(before, msgspec.structs.replace(after, processes=(hung,)))
    told = comparison_document(comparison)["ranks"][0]
    assert told["restarted"] and told["state"]["after"] == "hung" and told["moved"] is False
    assert "another process" in comparison_lines(comparison)[0] and "then hung" in comparison_lines(comparison)[0]
