"""What a user names to be read: files, folders of logs, standard input. One that cannot be read costs only itself."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from diagnostics.errors import EvidenceError, LastbatchError, UsageError
from diagnostics.importers.files import LARGEST, Imported, imported, read
from diagnostics.model import StageError

MOST_FILES = 5_000
"""Of a folder; a job's log folder has a few a rank."""
STANDARD_INPUT = "-"
ZSTD = b"\x28\xb5\x2f\xfd"
"""How a bundle begins (RFC 8878, 3.1.1)."""
_URL = re.compile(r"[a-z][a-z0-9+.-]*:/{1,2}[^/]", re.I)


def read_all(paths: Sequence[Path]) -> tuple[list[Imported], tuple[StageError, ...]]:
    """What the files say, and for each that says nothing the reason.

    Raises:
        UsageError: an address of the web is given, or a folder is empty.
        LastbatchError: nothing could be read; the first reason.
    """
    given, failed = each(files_of(paths), read_dump)
    if failed and not given:
        raise failed[0][1]
    return given, reasons(failed)


Failed = list[tuple[str, LastbatchError]]
"""Files that could not be read, each with why."""
T = TypeVar("T")


def each(files: Sequence[Path], read_one: Callable[[Path], T]) -> tuple[list[T], Failed]:
    given: list[T] = []
    failed: Failed = []
    for file in files:
        try:
            given.append(read_one(file))
        except (EvidenceError, UsageError) as error:
            failed.append((str(file), error))
    return given, failed


def reasons(failed: Failed) -> tuple[StageError, ...]:
    return tuple(StageError(f"reading {name}", _without(name, error.message)) for name, error in failed)


def read_dump(file: Path) -> Imported:
    """What a file of another tool says; `-` is standard input. Raises as `files.read`."""
    return _standard_input() if str(file) == STANDARD_INPUT else read(file)


def files_of(paths: Sequence[Path]) -> list[Path]:
    """Those that are named, and those in folders that are.

    Raises:
        UsageError: an address of the web is given, or a folder is empty.
    """
    refuse_urls(paths)
    return [file for path in paths for file in _files(path)]


def refuse_urls(paths: Sequence[Path]) -> None:
    """Nothing is fetched: a log may hold secrets, and so may its address.

    Raises:
        UsageError: one of them is an address of the web.
    """
    for path in paths:
        if _URL.match(str(path)) and not path.exists():
            address = str(path).replace(":/", "://", 1)  # as it was typed: a path has one slash where there are two
            raise UsageError(f"{address} is an address, and nothing is fetched", "Download it, and give the file")


def _files(path: Path) -> Iterator[Path]:
    if str(path) == STANDARD_INPUT or not path.is_dir():
        yield path
        return
    found = [file for file in sorted(path.rglob("*")) if _is_log(file, path)][:MOST_FILES]
    if not found:
        raise UsageError(f"{path} has no file in it", "Give a folder with bundles, logs or dumps")
    yield from found


def _is_log(file: Path, home: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(home).parts)
    return not hidden and file.is_file() and not file.is_symlink() and file.stat().st_size > 0


def _standard_input() -> Imported:
    data = sys.stdin.buffer.read(LARGEST)
    if data.startswith(ZSTD):
        raise EvidenceError("standard input is a bundle, which is not read piece by piece", "Give the file itself")
    try:
        return imported(data, "standard input")
    except EvidenceError as error:
        raise EvidenceError(f"standard input: {error.message}", error.hint) from None


def _without(name: str, message: str) -> str:
    return message.removeprefix(f"{name}: ")
