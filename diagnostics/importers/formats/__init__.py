"""Stacks as other tools write them, one file a tool with a `GRAMMAR` in it. A new file is found by itself.

The frames of different tools cannot be taken for one another, so a text may hold several tools' dumps, cut anywhere,
with log lines between them.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil

from diagnostics.importers.formats.grammar import Grammar


@functools.cache
def grammars() -> tuple[Grammar, ...]:
    """All of them, in the order in which a line is tried with each."""
    modules = [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    found = [module.GRAMMAR for module in modules if hasattr(module, "GRAMMAR")]
    return tuple(sorted(found, key=lambda grammar: (grammar.rank, grammar.tool)))
