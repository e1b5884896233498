"""The framework's library, and its processes' memory, opened here."""

from __future__ import annotations

from pathlib import Path

from diagnostics.collector.memory.elf import Library
from diagnostics.collector.memory.process import Memory, Unreadable
from diagnostics.errors import MissingError


def open_library(path: Path) -> Library:
    """Raises: MissingError: it is no ELF file for this kind of machine, or cannot be read."""
    try:
        return Library(str(path))
    except Unreadable as error:
        raise MissingError(str(error), "Probes need a library of x86-64 that this user may read") from None


def open_memory(pid: int) -> Memory:
    """Raises: MissingError: it may not be read."""
    try:
        return Memory(pid)
    except Unreadable as error:
        raise MissingError(f"cannot read the memory of process {pid}: {error}", "Run it with sudo") from None
