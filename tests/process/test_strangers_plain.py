"""Programs of strangers, attached to by process ids alone. All of them: `python bench/strangers.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

HANGS = ("never-converges", "pool-killed", "pipe-circle", "lock-order-classes", "atexit-join", "executor-self")
HEALTHY = ("ok-pool-minute", "ok-short-sleeps")


@pytest.fixture(scope="module")
def rows(strangers: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return strangers(*HANGS, *HEALTHY)


@pytest.mark.parametrize("job", HANGS)
def test_a_hang_is_seen_and_its_family_is_right(rows: dict[str, Any], job: str) -> None:
    assert (rows[job]["hang"], rows[job]["family"]) == ("seen", "right"), rows[job]


@pytest.mark.parametrize("job", HEALTHY)
def test_a_healthy_job_is_never_called_hung(rows: dict[str, Any], job: str) -> None:
    assert rows[job]["hang"] in ("calm", "undecided") and rows[job]["family"] != "wrong", rows[job]
