"""The probe sets, one small file each with a `SET` in it. A new file is found by itself."""

from __future__ import annotations

import importlib
import pkgutil

from diagnostics.errors import UsageError
from diagnostics.frameworks.tensorflow1.probes import ProbeSet


def load() -> dict[str, ProbeSet]:
    """All sets by name."""
    modules = [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    return {module.SET.name: module.SET for module in modules}


def find(name: str) -> ProbeSet:
    """Raises: UsageError: there is no such set."""
    known = load()
    if name not in known:
        raise UsageError(f"no probe set {name!r}", f"There are: {', '.join(sorted(known))}")
    return known[name]
