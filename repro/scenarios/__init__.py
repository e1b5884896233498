"""The scenarios, one file each with a `SCENARIO` in it. A new file is found by itself."""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
from collections.abc import Mapping

from diagnostics.errors import UsageError
from repro.scenario import Scenario


@functools.cache
def load() -> Mapping[str, Scenario]:
    """All scenarios by name."""
    modules = [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    return {module.SCENARIO.name: module.SCENARIO for module in modules}


def find(name: str) -> Scenario:
    """Raises: UsageError: there is no such scenario."""
    known = load()
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)} (lastbatch scenarios)"
        raise UsageError(f"no scenario {name!r}", hint)
    return known[name]
