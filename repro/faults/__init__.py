"""Faults, one file each: a small value that can strike a running cluster, and heal what it did.

A new file is found by itself. A fault is written `NAME:TARGET,KEY=VALUE,...`; `at=` and `for=` are the schedule's (see
`schedule`), the rest are the fault's own. What a place cannot do, a fault says before the trial starts.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import msgspec

from diagnostics.errors import UsageError
from repro.faults.base import Fault


@cache
def load() -> Mapping[str, type[Fault]]:
    """All faults by name."""
    return {kind.name: kind for info in pkgutil.iter_modules(__path__) for kind in _faults_of(info.name)}


def _faults_of(module: str) -> Iterator[type[Fault]]:
    members = vars(importlib.import_module(f"{__name__}.{module}")).values()
    kinds = [member for member in members if isinstance(member, type) and issubclass(member, Fault)]
    return (kind for kind in kinds if "name" in vars(kind) and kind.__module__.endswith(f".{module}"))


def make(name: str, target: str, given: Mapping[str, str]) -> Fault:
    """A fault by its name.

    Raises:
        UsageError: no such fault, or it does not take what was given.
    """
    known = load()
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"Did you mean {near[0]}?" if near else ""
        raise UsageError(f"no fault {name!r}", f"{hint} There are: {', '.join(known)}".strip())
    kind = known[name]
    fields: dict[str, Any] = {"target": target, **given}
    try:
        return msgspec.convert(fields, kind, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"fault {name}: {error}", f"For example --fault {kind.example}") from None
