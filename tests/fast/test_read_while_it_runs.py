"""py-spy reads a process that runs on: what it says counts where the threads that it tells of stood meanwhile."""

from __future__ import annotations

import json

import pytest

from diagnostics.collector import procfs
from diagnostics.collector.stacks import pyspy

PYTHON, NATIVE = 41, 42
TOLD = json.dumps([{"os_thread_id": PYTHON, "frames": []}])


@pytest.mark.parametrize(
    ("before", "after", "readings"),
    [
        ({PYTHON: ("S", 5), NATIVE: ("S", 5)}, {PYTHON: ("S", 5), NATIVE: ("S", 5)}, 1),
        ({PYTHON: ("S", 5), NATIVE: ("S", 5)}, {PYTHON: ("S", 5), NATIVE: ("R", 9)}, 1),
        ({PYTHON: ("S", 5), NATIVE: ("S", 5)}, {PYTHON: ("S", 6), NATIVE: ("S", 5)}, 2),
        ({PYTHON: ("R", 5)}, {PYTHON: ("R", 5)}, 2),
        ({NATIVE: ("S", 5)}, {PYTHON: ("S", 5), NATIVE: ("S", 5)}, 2),
    ],
    ids=["all stood", "a thread without Python ran", "it ran", "it runs all the time", "it is new"],
)
def test_it_is_read_again_where_a_thread_of_python_ran(
    monkeypatch: pytest.MonkeyPatch,
    before: dict[int, tuple[str, int]],
    after: dict[int, tuple[str, int]],
    readings: int,
) -> None:
    """GIVEN threads that stood or ran while they were read, THEN one reading is enough for those that stood."""
    states = iter((before, after))
    monkeypatch.setattr(procfs, "switches_of", lambda _: [(tid, *seen) for tid, seen in next(states).items()])
    asked: list[tuple[str, ...]] = []

    def ask(pid: int, budget: float, *options: str) -> str:
        asked.append(options)
        return TOLD

    monkeypatch.setattr(pyspy, "ask", ask)
    assert pyspy.read(41, 1.0).text == TOLD
    assert asked == [("--nonblocking",)] * readings
