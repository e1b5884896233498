"""The history of a trial: one flat, ordered log of small records, faults among them. One JSON line each."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import msgspec

NAME = "history.jsonl"


class Entry(msgspec.Struct, frozen=True):
    """`at` is monotonic, as in recorders; `wall` seconds since the epoch; `what` one of a few words, `detail` free."""

    at: float
    wall: float
    what: str
    detail: str = ""


class History:
    """Appends to a file; every line is complete as soon as it is there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def add(self, what: str, detail: str = "") -> None:
        line = msgspec.json.encode(Entry(time.monotonic(), time.time(), what, detail)) + b"\n"
        with self._lock, open(self._path, "ab") as file:
            file.write(line)


def read(path: Path) -> tuple[Entry, ...]:
    """The entries so far. Raises: OSError: there is no such file."""
    return tuple(msgspec.json.decode(line, type=Entry) for line in path.read_bytes().splitlines())
