"""How far a recording has come, without decoding it: some records of the ring are enough, whatever its size."""

import os
import zlib
from typing import BinaryIO, NamedTuple, Optional, Tuple

from .layout import LATEST_SLOTS, MAX_HEADER_BYTES, RECORD, RECORD_BODY, RECORD_BYTES, EventKind, Offsets
from .reader import RecordingError, _header_size, _read, decode_header

_NEAR = 64
"""Records before the newest that are asked where it is torn."""

Counts = NamedTuple("Counts", [("rank", str), ("pid", int), ("events", int), ("steps_ended", int), ("epoch_ends", int)])
"""Who records (``pid`` as the process sees it), and how much: ``events`` and what
follows are counted since the recorder was opened."""


def read_counts(path: str) -> Counts:
    """Who records, and how much there is.

    Raises:
        OSError: the file cannot be read.
        RecordingError: as for :func:`.reader.decode_header`, or it is cut short.
    """
    start = _read(path, MAX_HEADER_BYTES)
    header = decode_header(start)
    offsets = Offsets(_header_size(start), header.capacity)
    with open(path, "rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size < offsets.total:
            raise RecordingError("cut short")
        newest = _newest(file, offsets.ring, header.capacity)
        epoch_ends = _value(file, offsets.latest, EventKind.EPOCH_END)
    if newest is None:
        return Counts(header.rank, header.pid, 0, 0, epoch_ends)
    return Counts(header.rank, header.pid, newest[0] + 1, newest[8], epoch_ends)


def _record(file: BinaryIO, at: int) -> Optional[Tuple[int, ...]]:
    raw = os.pread(file.fileno(), RECORD_BYTES, at)
    if len(raw) < RECORD_BYTES:
        return None
    body, crc = RECORD.unpack(raw)
    return RECORD_BODY.unpack(body) if zlib.crc32(body) == crc and any(raw) else None


def _value(file: BinaryIO, latest: int, kind: int) -> int:
    found = _record(file, latest + kind * RECORD_BYTES) if kind < LATEST_SLOTS else None
    return found[4] if found else 0


def _newest(file: BinaryIO, ring: int, capacity: int) -> Optional[Tuple[int, ...]]:
    """The record with the highest number: numbers rise from slot 0 to it, and are a whole turn lower behind it."""
    first = _record(file, ring)
    if first is None:
        return _highest(file, ring, 0, capacity, capacity)
    low, high = 0, capacity - 1
    while low < high:
        middle = (low + high + 1) // 2
        found = _record(file, ring + middle * RECORD_BYTES)
        if found is not None and found[0] >= first[0]:
            low = middle
        else:
            high = middle - 1
    return _highest(file, ring, low, _NEAR, capacity)


def _highest(file: BinaryIO, ring: int, slot: int, near: int, capacity: int) -> Optional[Tuple[int, ...]]:
    around = {(slot + step) % capacity for step in range(-min(near, capacity), min(near, capacity))}
    found = (_record(file, ring + index * RECORD_BYTES) for index in around)
    return max((record for record in found if record), key=lambda record: record[0], default=None)
