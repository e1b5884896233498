"""Faults, one file each: a small value that can strike a running cluster, and heal what it did.

`FAULTS` has them by name. A fault is written `NAME:TARGET,KEY=VALUE,...`; `at=` and `for=` are the schedule's (see
`schedule`), the rest are the fault's own. What a place cannot do, a fault says before the trial starts.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import msgspec

from diagnostics.errors import UsageError
from repro.faults.absent import Absent
from repro.faults.base import Fault
from repro.faults.freeze import Freeze
from repro.faults.kill import Kill
from repro.faults.link import Delay, Loss, Rate
from repro.faults.oom import Oom
from repro.faults.partition import Partition
from repro.faults.stall_disk import StallDisk
from repro.faults.throttle import Throttle

_ALL: tuple[type[Fault], ...] = (
    Absent, Delay, Freeze, Kill, Loss, Oom, Partition, Rate, StallDisk, Throttle,
)  # fmt: skip
FAULTS: Mapping[str, type[Fault]] = {kind.name: kind for kind in _ALL}


def make(name: str, target: str, given: Mapping[str, str]) -> Fault:
    """A fault by its name.

    Raises:
        UsageError: no such fault, or it does not take what was given.
    """
    if name not in FAULTS:
        near = difflib.get_close_matches(name, FAULTS, 1)
        hint = f"Did you mean {near[0]}?" if near else ""
        raise UsageError(f"no fault {name!r}", f"{hint} There are: {', '.join(FAULTS)}".strip())
    kind = FAULTS[name]
    fields: dict[str, Any] = {"target": target, **given}
    try:
        return msgspec.convert(fields, kind, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"fault {name}: {error}", f"For example --fault {kind.example}") from None
