"""Recorded stacks of real programs come to the positions that they came to when they were recorded."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from diagnostics.model import Role, WaitKind
from diagnostics.stacks.position import classify, main_position, threads_with

STACKS = Path(__file__).parents[1] / "data" / "stacks"
RECORDINGS = sorted(STACKS.glob("*.json"))


@pytest.fixture(scope="module")
def record() -> ModuleType:
    spec = importlib.util.spec_from_file_location("record_stacks", STACKS / "record.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_positions_are_as_recorded(path: Path, record: ModuleType) -> None:
    found = read(path)
    assert found["threads"]
    assert record.positions(found) == [row["position"] for row in found["threads"]]


WITH_PYTHON = [path for path in RECORDINGS if not (path.stem.endswith(("gdb", "eu-stack")) and ".c." not in path.name)]


@pytest.mark.parametrize("path", WITH_PYTHON, ids=lambda path: path.stem)
def test_every_program_stands_in_code_of_its_own_unless_idle(path: Path, record: ModuleType) -> None:
    found = read(path)
    position = main_position(record.process_in(found))
    assert position
    assert position.own or position.has(Role.IDLE)


WAYS = {
    "lock": WaitKind.LOCK,
    "rlock": WaitKind.LOCK,
    "event": WaitKind.CONDITION,
    "condition": WaitKind.CONDITION,
    "condition_for": WaitKind.CONDITION,
    "semaphore": WaitKind.CONDITION,
    "barrier": WaitKind.CONDITION,
    "joining": WaitKind.JOIN,
    "queue_get": WaitKind.CONDITION,
    "queue_put": WaitKind.CONDITION,
    "queue_join": WaitKind.CONDITION,
    "simple_queue": WaitKind.CONDITION,
    "sleep": WaitKind.TIME,
    "accept": WaitKind.SOCKET,
    "receive": WaitKind.SOCKET,
    "read_pipe": WaitKind.WORLD,
    "select_pipe": WaitKind.WORLD,
    "flock": WaitKind.FILE,
    "child": WaitKind.CHILD,
    "communicate": WaitKind.CHILD,
    "future": WaitKind.CONDITION,
    "fed_queue": WaitKind.PIPE,
}


@pytest.mark.parametrize("python", ["3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13"])
def test_each_way_of_waiting_is_told_on_every_release_of_python(python: str, record: ModuleType) -> None:
    """The program names its threads by the way in which they wait, and each stands in a function of that name."""
    process = classify(record.process_in(read(STACKS / f"waits.0.{python}.attach.json")))
    by_name = dict(zip([thread.name for thread in process.threads], process.positions, strict=True))
    assert {name: by_name[name].waits for name in WAYS} == WAYS
    assert {name: by_name[name].function for name in WAYS} == {name: name for name in WAYS}
    assert by_name["MainThread"].function == "on_signal"
    assert by_name["MainThread"].has(Role.SIGNAL_HANDLER)
    assert by_name["loop"].has(Role.EVENT_LOOP)
    assert {thread.name[:11] for thread, _ in threads_with(process, Role.IDLE)} == {"pool-idle_0", "QueueFeeder"}


def test_a_file_has_been_recorded_for_every_program(record: ModuleType) -> None:
    programs = {path.name.split(".")[0] for path in RECORDINGS}
    assert set(record.PROGRAMS) <= programs
