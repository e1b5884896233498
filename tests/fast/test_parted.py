"""Ranks that stand in different collectives under one number: who does what the others do not."""

from __future__ import annotations

import msgspec
import pytest
from test_causes_by_family import GLOO, SITE, process, stack

from diagnostics.model import Collection, Collective, Frame, Process
from diagnostics.pipeline import explain

JOB = "/home/ada/job/run.py"
Path = tuple[tuple[str, int], ...]
STEP: Path = (("main", 20), ("step", 8))
EARLY: Path = (("main", 22), ("report", 40))
LATE: Path = (("main", 23),)


def called(number: int, op: str, path: Path, state: str = "completed") -> Collective:
    frames = tuple(Frame(function, JOB, line) for function, line in path)
    return Collective("default_pg", number, op, state=state, frames=frames, called_at=100.0 + number)


def rank(index: int, op: str, path: Path, past: tuple[tuple[str, Path], ...]) -> Process:
    """A rank that stands in `op`, called by `path`, after these others."""
    records = [called(number, *one) for number, one in enumerate(past, 1)]
    records.append(called(len(past) + 1, op, path, "scheduled"))
    frames = stack(*(f"{function} {JOB}:{line}" for function, line in path),
                   f"{op} {SITE}torch/distributed/distributed_c10d.py:2810", GLOO)  # fmt: skip
    return process(f"worker:{index}", frames, pid=100 + 10 * index, watched=60.0, collectives=tuple(records))


STEPS = (("all_reduce", STEP),) * 5
EPOCH = (*STEPS, ("all_gather", EARLY))
STORIES = {
    "one calls at a place by which the other goes": (("all_gather", EARLY), ("barrier", LATE), STEPS, ["worker:0"]),
    "one has left a step that all make": (("all_reduce", STEP), ("all_gather", EARLY), STEPS, ["worker:1"]),
    "both do what all have done before": (("all_reduce", STEP), ("all_gather", EARLY), EPOCH, ["worker:0", "worker:1"]),
    "one evaluates by what all train by": (
        ("all_gather", (("main", 22), ("forward", 5))), ("barrier", LATE),
        (("all_gather", (("main", 20), ("forward", 5))),), ["worker:0"],
    ),
    "they part in branches of other functions": (
        ("all_gather", (("lead", 4),)), ("barrier", (("follow", 9),)), STEPS, ["worker:0", "worker:1"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
def test_of_two_that_are_in_each_others_way_the_odd_one_is_named(story: str) -> None:
    """THEN who does what only it does is named with the place of the others; where that is not told, both are."""
    one, other, past, names = STORIES[story]
    found = explain(Collection(1.0, 2.0, (rank(0, *one, past), rank(1, *other, past))))[1]
    assert found.verdict == "collective-mismatch"
    assert sorted(culprit.rank for culprit in found.culprits) == names
    if len(names) == 1:
        assert "where the others came to" in found.culprits[0].why


def test_without_the_records_of_one_both_are_named() -> None:
    one, other = rank(0, "all_gather", EARLY, STEPS), rank(1, "barrier", LATE, STEPS)
    bare = msgspec.structs.replace(other, collectives=())
    found = explain(Collection(1.0, 2.0, (one, bare)))[1]
    assert not any("where the others came to" in culprit.why for culprit in found.culprits)
