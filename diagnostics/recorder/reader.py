"""Reads a recording from outside, while its process runs, hangs, or after it was killed.

The file is untrusted: sizes are bounded before anything is read, every number is checked, and nothing but
:class:`RecordingError` comes out of :func:`decode`.
"""

import math
import os
import stat
import zlib
from typing import Dict, List, NamedTuple, Optional, Tuple

from .layout import (
    CRC,
    ERROR_BYTES,
    ERROR_HEAD,
    ERROR_TEXT_BYTES,
    FLAG_FAILED,
    HEADER,
    HEADER_CHECKED_FROM,
    LABEL,
    LABEL_BYTES,
    LABEL_TEXT_BYTES,
    LABELS,
    LATEST_SLOTS,
    MAGIC,
    MAX_CAPACITY,
    MAX_HEADER_BYTES,
    OPEN_SLOTS,
    RECORD,
    RECORD_BODY,
    RECORD_BYTES,
    VERSION,
    EventKind,
    Offsets,
    header_bytes_for,
)

MAX_FILE_BYTES = Offsets(MAX_HEADER_BYTES, MAX_CAPACITY).total
_KINDS = {int(kind): kind for kind in EventKind}


class RecordingError(ValueError):
    """The file is not a whole recording; the text says why."""


Header = NamedTuple(
    "Header",
    [
        ("version", int),
        ("capacity", int),
        ("pid", int),
        ("start_ticks", int),
        ("ticks_per_second", int),
        ("created_mono", float),
        ("created_wall", float),
        ("boot_id", str),
        ("interpreter", str),
        ("host", str),
        ("rank", str),
        ("runtime", str),
        ("expected", Tuple[str, ...]),
    ],
)
"""Who records. ``start_ticks`` is the process's start in clock ticks since boot; times are seconds."""


Event = NamedTuple(
    "Event",
    [
        ("seq", int),
        ("mono", float),
        ("wall", float),
        ("kind", EventKind),
        ("failed", bool),
        ("label", str),
        ("thread", int),
        ("step", int),
        ("epoch", int),
        ("value", int),
        ("begun", int),
        ("ended", int),
    ],
)
"""One record. Times in seconds; :mod:`.layout` tells the rest, its EventKind what ``value`` is."""


LastError = NamedTuple("LastError", [("mono", float), ("wall", float), ("text", str)])
"""The newest error's text, up to 1 KiB. It may hold secrets: redact before showing."""


Totals = NamedTuple(
    "Totals",
    [
        ("events", int),
        ("steps_begun", int),
        ("steps_ended", int),
        ("epochs_begun", int),
        ("epoch_ends", int),
        ("sequence_ends", int),
        ("errors", int),
    ],
)
"""Counts since the recorder was opened, also of what the ring no longer holds."""


Recording = NamedTuple(
    "Recording",
    [
        ("header", Header),
        ("events", Tuple[Event, ...]),
        ("latest", Tuple[Event, ...]),
        ("opened", Tuple[Event, ...]),
        ("totals", Totals),
        ("error", Optional[LastError]),
        ("torn", int),
        ("lost", int),
        ("damaged", int),
    ],
)
"""What a file holds.

events: the ring, oldest first. latest: the newest event of each rare kind. opened: begin events in the
table of open ones (see :func:`.spans.open_spans`, which also looks at the ring). torn: ring records that
fail their check. lost: numbers missing between the oldest and the newest event, torn ones included.
damaged: broken entries outside the ring.
"""


def _text(field: bytes, name: str) -> str:
    text = field.rstrip(b"\0")
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        raise RecordingError("the header's %s is not UTF-8" % name) from None


def _header_size(data: bytes) -> int:
    if len(data) < HEADER.size:
        raise RecordingError("cut short: %d bytes, a header has %d" % (len(data), HEADER.size))
    magic, version, _, size, world = HEADER.unpack_from(data)[:5]
    if magic != MAGIC:
        raise RecordingError("not a recording: wrong magic")
    if version != VERSION:
        raise RecordingError("version %d of the format; this program reads version %d" % (version, VERSION))
    if size > MAX_HEADER_BYTES or size != header_bytes_for(world):
        raise RecordingError("the header's sizes contradict each other")
    return int(size)


def decode_header(data: bytes) -> Header:
    """The header at the beginning of a recording's bytes; what follows is not looked at.

    Raises:
        RecordingError: it is cut short, of another format or version, or corrupt.
    """
    size = _header_size(data)
    if len(data) < size:
        raise RecordingError("cut short: %d bytes, the header has %d" % (len(data), size))
    (
        _, version, crc, _, world, capacity, pid, start, ticks, _, mono, wall, boot, interpreter, host, rank,
        runtime,
    ) = HEADER.unpack_from(data)  # fmt: skip
    if zlib.crc32(data[HEADER_CHECKED_FROM:size]) != crc:
        raise RecordingError("the header's checksum does not match")
    if not 1 <= capacity <= MAX_CAPACITY:
        raise RecordingError("a capacity of %d records" % capacity)
    if not (math.isfinite(mono) and math.isfinite(wall)):
        raise RecordingError("the header's times are not numbers")
    names = _text(data[HEADER.size : HEADER.size + world], "list of expected ranks")
    return Header(
        version, capacity, pid, start, ticks, mono, wall, _text(boot, "boot id"),
        _text(interpreter, "interpreter"), _text(host, "host"), _text(rank, "rank"),
        _text(runtime, "runtime"),
        tuple(names.split("\n")) if names else (),
    )  # fmt: skip


def _labels(data: bytes, start: int) -> Tuple[Dict[int, str], int]:
    labels, damaged = {0: ""}, 0
    for index in range(1, LABELS):
        area = data[start + index * LABEL_BYTES : start + (index + 1) * LABEL_BYTES]
        if not any(area):
            continue
        length, text = LABEL.unpack_from(area)
        crc = CRC.unpack_from(area, LABEL.size)[0]
        if zlib.crc32(area[: LABEL.size]) != crc or length > LABEL_TEXT_BYTES:
            damaged += 1
            continue
        labels[index] = text[:length].decode("utf-8", "replace")
    return labels, damaged


def _error(data: bytes, start: int) -> Tuple[Optional[LastError], int]:
    area = data[start : start + ERROR_BYTES]
    if not any(area):
        return None, 0
    mono, wall, length = ERROR_HEAD.unpack_from(area)
    crc = CRC.unpack_from(area, ERROR_BYTES - CRC.size)[0]
    if zlib.crc32(area[: -CRC.size]) != crc or length > ERROR_TEXT_BYTES or not math.isfinite(mono + wall):
        return None, 1
    text = area[ERROR_HEAD.size : ERROR_HEAD.size + length].decode("utf-8", "replace")
    return LastError(mono, wall, text), 0


_EMPTY = bytes(RECORD_BYTES)


def _events(
    data: bytes, start: int, slots: int, labels: Dict[int, str]
) -> Tuple[List[Tuple[int, Event]], int]:
    """The slot and event of every sound record, and the number of others that are not empty."""
    events, bad = [], 0
    for slot in range(slots):
        at = start + slot * RECORD_BYTES
        raw = data[at : at + RECORD_BYTES]
        if raw == _EMPTY:
            continue
        body, crc = RECORD.unpack(raw)
        seq, mono, wall, step, value, thread, epoch, begun, ended, word = RECORD_BODY.unpack(body)
        kind = _KINDS.get(word & 0xFF)
        if zlib.crc32(body) != crc or kind is None or not (math.isfinite(mono) and math.isfinite(wall)):
            bad += 1
            continue
        label = word >> 16
        text = labels.get(label, "label %d" % label)
        failed = bool(word >> 8 & FLAG_FAILED)
        events.append(
            (slot, Event(seq, mono, wall, kind, failed, text, thread, step, epoch, value, begun, ended))
        )
    return events, bad


def decode(data: bytes) -> Recording:
    """The recording in a file's bytes. Torn or corrupt entries are left out and counted.

    Raises:
        RecordingError: it is cut short, of another format or version, its header is corrupt, or its sizes
        lie.
    """
    data = bytes(data)
    header = decode_header(data)
    offsets = Offsets(_header_size(data), header.capacity)
    if len(data) != offsets.total:
        how = "cut short" if len(data) < offsets.total else "too long"
        raise RecordingError(
            "%s: %d bytes, %d records take %d" % (how, len(data), header.capacity, offsets.total)
        )
    labels, damaged = _labels(data, offsets.labels)
    error, bad = _error(data, offsets.error)
    damaged += bad
    kept, bad = _events(data, offsets.latest, LATEST_SLOTS, labels)
    latest = tuple(event for slot, event in kept if slot == event.kind)
    damaged += bad + len(kept) - len(latest)
    kept, bad = _events(data, offsets.opened, OPEN_SLOTS, labels)
    opened = tuple(sorted(event for _, event in kept))
    damaged += bad
    kept, torn = _events(data, offsets.ring, header.capacity, labels)
    events = tuple(sorted(event for slot, event in kept if slot == event.seq % header.capacity))
    torn += len(kept) - len(events)
    lost = events[-1].seq - events[0].seq + 1 - len(events) if events else 0
    everything = events + latest + opened
    counts = {event.kind: event.value for event in latest}
    for event in events:
        counts[event.kind] = max(counts.get(event.kind, 0), event.value)
    totals = Totals(
        max((event.seq + 1 for event in everything), default=0),
        max((event.begun for event in everything), default=0),
        max((event.ended for event in everything), default=0),
        counts.get(EventKind.EPOCH_BEGIN, 0),
        counts.get(EventKind.EPOCH_END, 0),
        counts.get(EventKind.END_OF_SEQUENCE, 0),
        counts.get(EventKind.ERROR, 0),
    )
    return Recording(header, events, latest, opened, totals, error, torn, lost, damaged)


def _read(path: str, limit: int) -> bytes:
    # Without O_NONBLOCK opening a FIFO would wait for a writer.
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    with os.fdopen(fd, "rb") as file:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise RecordingError("not a regular file: %s" % path)
        if info.st_size > MAX_FILE_BYTES:
            raise RecordingError("larger than any recording: %d bytes" % info.st_size)
        return file.read(limit)


def read_header(path: str) -> Header:
    """Only the header of a file; cheap.

    Raises:
        OSError: the file cannot be read.
        RecordingError: as for :func:`decode_header`.
    """
    return decode_header(_read(path, MAX_HEADER_BYTES))


def read(path: str) -> Recording:
    """The recording in a file, also while it is being written.

    Raises:
        OSError: the file cannot be read.
        RecordingError: as for :func:`decode`.
    """
    recording = decode(_read(path, MAX_FILE_BYTES + 1))
    if recording.torn or recording.damaged:  # Caught while being written? Then it is whole a moment later.
        again = decode(_read(path, MAX_FILE_BYTES + 1))
        if again.torn + again.damaged < recording.torn + recording.damaged:
            return again
    return recording
