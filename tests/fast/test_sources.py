"""Sources are found by being there, and one that hangs or raises costs only itself."""

from __future__ import annotations

import threading
from types import ModuleType
from typing import Any

from diagnostics.collector.look import Look, Target
from diagnostics.collector.observing import Round, found


def source(name: str, once: Any, deadline: float = 0.05) -> ModuleType:
    module = ModuleType(f"sources.{name}")
    vars(module).update(once=once, DEADLINE=deadline)
    return module


def test_every_file_with_a_source_is_found() -> None:
    names = {module.__name__.rpartition(".")[2] for module in found()}
    assert {"threads", "connections", "files", "recorder", "locks", "blocking_calls", "interfaces"} <= names
    assert "mounts" not in names, "it is no source, and has neither `once` nor `sample`"


def test_a_source_that_hangs_and_one_that_raises_are_left_out_with_their_reasons() -> None:
    never = threading.Event()
    look = Look([Target(7)])
    asking = Round(look)
    sources = [
        source("dead_mount", lambda _: never.wait(60)),
        source("broken", lambda _: dict[str, object]()["nothing"]),
        source("sound", lambda _: {7: {"parent": 1}, 8: {"parent": 2}}),
    ]
    try:
        assert asking.ask(sources, "once") == {7: {"parent": 1}}
        assert asking.left_out[0].startswith("dead_mount: did not answer within")
        assert asking.left_out[1].startswith("broken: KeyError")
        assert asking.ask(sources[:1], "once") == {7: {}} and len(asking.left_out) == 2, "it is not asked again"
    finally:
        never.set()
