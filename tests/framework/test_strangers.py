"""Programs of strangers on real frameworks, attached to by process ids alone. All: `python bench/strangers.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from repro.runtimes import Runtime

HANGS = ("ddp-upload", "torchrun-labels", "spawn-one-killed", "tf1-no-runners")
HEALTHY = ("ok-evaluation", "ok-slow-input", "ok-tf1-training")


@pytest.fixture(scope="module")
def rows(strangers: Callable[..., dict[str, Any]], runtime: Callable[[str], Runtime]) -> dict[str, Any]:
    for name in ("torch", "tf1.12"):
        runtime(name)
    return strangers(*HANGS, *HEALTHY)


@pytest.mark.parametrize("job", HANGS)
def test_a_hang_is_seen_and_its_family_is_right(rows: dict[str, Any], job: str) -> None:
    assert (rows[job]["hang"], rows[job]["family"]) == ("seen", "right"), rows[job]


@pytest.mark.parametrize("job", HEALTHY)
def test_a_healthy_job_is_never_called_hung(rows: dict[str, Any], job: str) -> None:
    assert rows[job]["hang"] in ("calm", "undecided") and rows[job]["family"] != "wrong", rows[job]
