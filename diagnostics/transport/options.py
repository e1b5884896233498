"""What to look at, and how."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diagnostics.model import Record

COLLECTORS = ("kernel", "py-spy", "unwind", "pystack", "gdb", "eu-stack")
"""Stack collectors, in the order in which they are tried (`diagnostics.collector.stacks` has them)."""


class Target(Record, frozen=True):
    """A process to look at. `recorder` and `log` are found by themselves where they are not given.

    `address` is where it serves, if that is known beforehand: its peers' connections tell of it even when it is gone.
    """

    pid: int
    rank: str = ""
    recorder: Path | None = None
    log: Path | None = None
    address: str = ""


def asked_of(targets: Sequence[Target]) -> list[dict[str, Any]]:
    """As a collector takes them."""
    return [
        {"pid": target.pid, "recorder": str(target.recorder or ""), "log": str(target.log or "")} for target in targets
    ]


class Options(Record, frozen=True):
    """How to collect. Times in seconds.

    `gap` lies between two of the `samples` that say whether anything moves; `budget` is for each stack collector on
    each process; `collectors` names those to try, none for all. Where nothing moves and the samples do not decide,
    more are taken, for `resample` seconds at most.
    """

    gap: float = 1.0
    budget: float = 20.0
    collectors: tuple[str, ...] = ()
    samples: int = 2
    resample: float = 25.0
