"""What only one framework needs, a package each. One that adds to a collection has a module `enrich`."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterator
from functools import partial

from diagnostics.model import Collection
from diagnostics.transport import Reach

Enricher = Callable[[Collection, Reach], Collection]
"""From a collection, and the way to its processes, to the collection with what a framework has in memory there."""


def enrichers() -> Iterator[tuple[str, Enricher]]:
    """(framework, function) of each package here that can add its framework's state."""
    for info in pkgutil.iter_modules(__path__):
        if info.ispkg and importlib.util.find_spec(f"{__name__}.{info.name}.enrich"):
            yield info.name, partial(_look, f"{__name__}.{info.name}.enrich")


def _look(module: str, collection: Collection, reach: Reach) -> Collection:
    """Imported when it is called, so that one that cannot be costs only itself."""
    look: Enricher = importlib.import_module(module).look
    return look(collection, reach)
