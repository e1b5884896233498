"""What only one framework needs, a package each. One that adds to a collection has a module `enrich`.

A package with `ASKED_BY` does so only where the user asks for that, since it costs the job something.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Container, Iterator
from functools import partial

from diagnostics.model import Collection
from diagnostics.transport import Reach

Enricher = Callable[[Collection, Reach], Collection]
"""From a collection, and the way to its processes, to the collection with what a framework has in memory there."""


def enrichers(asked: Container[str] = ()) -> Iterator[tuple[str, Enricher]]:
    """(framework, function) of each package here that can add its framework's state; those that were asked for last."""
    for name in _names(asked):
        yield name.rpartition(".")[2], partial(_look, f"{name}.enrich")


def load() -> None:
    """Import those that nobody has to ask for, ahead of their use. Raises what they raise."""
    for name in _names():
        importlib.import_module(f"{name}.enrich")


def _names(asked: Container[str] = ()) -> list[str]:
    names = [f"{__name__}.{info.name}" for info in pkgutil.iter_modules(__path__) if info.ispkg]
    asked_by = {name: getattr(importlib.import_module(name), "ASKED_BY", "") for name in names}
    return [
        name
        for name in sorted(names, key=lambda one: bool(asked_by[one]))
        if (not asked_by[name] or asked_by[name] in asked) and importlib.util.find_spec(f"{name}.enrich")
    ]


def _look(module: str, collection: Collection, reach: Reach) -> Collection:
    """Imported when it is called, so that one that cannot be costs only itself."""
    look: Enricher = importlib.import_module(module).look
    return look(collection, reach)
