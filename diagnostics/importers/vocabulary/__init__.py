"""What libraries say in their logs when something waits or fails, one file a library with `ROWS` or `BLOCKS` in it.

A new file is found by itself. Each has its wordings from the library's own sources, of several releases. A row states
what was said; what it means is for causes to tell.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from collections.abc import Iterator

from diagnostics.importers.vocabulary.base import Block, Row, Said, Vocabulary, read

__all__ = ["Reader", "Said", "load"]


@functools.cache
def load() -> Vocabulary:
    modules = [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    rows = tuple(row for module in modules for row in getattr(module, "ROWS", ()))
    return Vocabulary(rows, tuple(block for module in modules for block in getattr(module, "BLOCKS", ())))


@functools.cache
def _by_needle() -> tuple[re.Pattern[str], dict[str, tuple[Row, ...]]]:
    rows: dict[str, tuple[Row, ...]] = {}
    for row in load().rows:
        rows[row.needle] = (*rows.get(row.needle, ()), row)
    needles = sorted(rows, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, needles))), rows


class Reader:
    """Reads the log of one source line by line."""

    def __init__(self) -> None:
        self._blocks: list[Block] = [block() for block in load().blocks]

    def finish(self) -> Iterator[Said]:
        """What is known at the end."""
        for block in self._blocks:
            yield from block.finish()

    def read(self, line: str) -> Iterator[Said]:
        """What is known by this line: of each library at most what its first row that fits says."""
        for block in self._blocks:
            yield from block.feed(line)
        low = line.lower()
        pattern, rows = _by_needle()
        if not pattern.search(low):
            return
        for needle, candidates in rows.items():
            if needle in low:
                for row in candidates:
                    said = list(read(row, line))
                    if said:
                        yield from said
                        break
