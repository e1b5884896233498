"""Other people's dumps as a collection: stacks by other tools, logs, flight recorders of frameworks.

Every file is told by its content. Nothing in it is trusted: sizes are bounded, and a pickle is decoded by a
reader of our own that builds plain values only.
"""

from diagnostics.importers.files import Imported, collection_of, imported, read
from diagnostics.importers.sources import STANDARD_INPUT, ZSTD, each, files_of, read_all, read_dump, reasons

__all__ = [
    "STANDARD_INPUT", "ZSTD", "Imported", "collection_of", "each", "files_of", "imported", "read", "read_all",
    "read_dump", "reasons",
]  # fmt: skip
