"""Sources are found by being there, and one that hangs or raises costs only itself."""

from __future__ import annotations

import threading
from types import ModuleType
from typing import Any

from diagnostics.collector.look import Look, Target
from diagnostics.collector.observing import Round, found
from diagnostics.collector.sources import locks, polled


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


def _frame(filename: str, **variables: str) -> dict[str, object]:
    return {"filename": filename, "locals": [{"name": name, "repr": shown} for name, shown in variables.items()]}


def test_a_lock_files_path_is_made_of_what_the_callers_know() -> None:
    """GIVEN a wait for a folder's lock, whose object alone has the path, THEN every folder that a caller has in a
    variable of any name is asked; of other programs a path that is named for a lock is, absolute or not."""
    baton = [_frame("/v/torch/utils/file_baton.py", self="<FileBaton>"),
             _frame("/home/ada/kernels.py", cache='"/tmp/kernels"', lib='"/tmp/kernels/x.so"', n="3")]  # fmt: skip
    assert "/tmp/kernels/lock" in list(polled.names_in(baton))
    assert list(polled.names_in([_frame("/home/ada/job.py", mark='"out/step.lock"', log='"/var/log/x"')])) == [
        "out/step.lock"
    ]


def test_who_waits_for_a_lock_behind_another_one_that_waits_is_seen() -> None:
    """GIVEN three that want one lock, as the kernel lists them, THEN both waiters are told."""
    text = (
        "1: FLOCK  ADVISORY  WRITE 71 fe:00:131 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 72 fe:00:131 0 EOF\n"
        "1:  -> FLOCK  ADVISORY  WRITE 73 fe:00:131 0 EOF\n2: POSIX  ADVISORY  READ  9 00:1a:5 0 EOF\n"
    )
    rows = [(row.pid, row.waits, row.kind) for row in locks.rows_in(text)]
    assert rows == [(71, False, "flock"), (72, True, "flock"), (73, True, "flock"), (9, False, "posix")]
