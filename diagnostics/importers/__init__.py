"""Other people's dumps as a collection: stacks by other tools, logs, flight recorders of frameworks.

Every file is told by its content. Nothing in it is trusted: sizes are bounded, and a pickle is decoded by a
reader of our own that builds plain values only.
"""

from diagnostics.importers.files import Imported, collection_of, read

__all__ = ["Imported", "collection_of", "read"]
