"""Reads a bundle, which it takes for hostile."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from diagnostics.bundle.form import (
    COLLECTION,
    FORMAT,
    INDEX,
    MAX_BLOCKS,
    MAX_COMPRESSED,
    MAX_MEMBER,
    MAX_MEMBERS,
    MAX_NAME,
    MAX_TOTAL,
    MAX_WINDOW,
    Bundle,
    Index,
    clash,
    is_name,
)
from diagnostics.errors import EvidenceError
from diagnostics.model import FORMAT as MODEL_FORMAT
from diagnostics.model import Collection
from diagnostics.version import release

_READS = (1, 2)
_COPY_AGAIN = "Copy it again from where it was written, or collect anew"
_NOT_OURS = "Give a file that `lastbatch attach` wrote (NAME.tar.zst)"


class _Version(msgspec.Struct):
    """All that is asked of an index before its format is known."""

    format: int


def read(path: Path) -> Bundle:
    """The bundle at `path`, every part of it checked.

    Raises:
        EvidenceError: it is not a bundle, or it is damaged, hostile, or of a format that is not known here.
    """
    stream = _Stream(path, _load(path))
    try:
        return _unpack(stream)
    except (zstandard.ZstdError, tarfile.TarError, ValueError, RecursionError, MemoryError) as error:
        raise stream.damaged(str(error).splitlines()[0] if str(error) else type(error).__name__) from error


def _load(path: Path) -> bytes:
    try:
        # Not to be held up by a FIFO that nobody writes to.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise EvidenceError(f"{path} is not a file", _NOT_OURS)
            if status.st_size > MAX_COMPRESSED:
                raise EvidenceError(f"{path} is too large for a bundle ({status.st_size} bytes)", _NOT_OURS)
            data = file.read(MAX_COMPRESSED + 1)
    except FileNotFoundError as error:
        raise EvidenceError(f"cannot read {path}: {error.strerror}", "Look at its name") from error
    except OSError as error:
        raise EvidenceError(f"cannot read {path}: {error.strerror or error}", _NOT_OURS) from error
    except ValueError as error:  # a NUL in the name
        raise EvidenceError(f"cannot read {str(path)!r}: {error}", _NOT_OURS) from error
    if not data:
        raise EvidenceError(f"{path} is empty", _COPY_AGAIN)
    if not data.startswith(zstandard.FRAME_HEADER):
        raise EvidenceError(f"{path} is not a bundle", _NOT_OURS)
    return data


class _Stream:
    """What the one zstd frame of a bundle unpacks to, read piece by piece so that no bomb goes off."""

    def __init__(self, path: Path, data: bytes) -> None:
        self._path = path
        try:
            frame = zstandard.get_frame_parameters(data)
            end = _frame_end(data)
        except (zstandard.ZstdError, ValueError) as error:
            raise self.damaged("it is cut short") from error
        if end != len(data):
            extra = len(data) - end
            raise self.damaged(f"{extra} bytes follow its end" if extra > 0 else "it is cut short")
        if not 0 < frame.content_size <= MAX_TOTAL or frame.window_size > MAX_WINDOW:
            raise self.damaged(f"it would unpack to more than {MAX_TOTAL} bytes or does not say")
        decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        self._reader = decompressor.stream_reader(io.BytesIO(data))
        self._left = MAX_TOTAL

    def damaged(self, why: str) -> EvidenceError:
        return EvidenceError(f"bundle {self._path} is damaged: {why}", _COPY_AGAIN)

    def take(self, size: int) -> bytes:
        """The next `size` bytes, or fewer at the end."""
        if size > self._left:
            raise self.damaged(f"it unpacks to more than {MAX_TOTAL} bytes")
        taken = bytearray()
        while len(taken) < size:
            piece = self._reader.read(min(size - len(taken), 1 << 20))
            if not piece:
                break
            taken += piece
        self._left -= len(taken)
        return bytes(taken)


def _frame_end(data: bytes) -> int:
    """Where the zstd frame ends that begins the data (RFC 8878, 3.1.1); past the data if it is cut short."""
    has_checksum = data[4] & 0b100
    at = int(zstandard.frame_header_size(data))
    for _ in range(MAX_BLOCKS):
        if at + 3 > len(data):
            return len(data) + 1
        header = int.from_bytes(data[at : at + 3], "little")
        at += 3 + (1 if header >> 1 & 3 == 1 else header >> 3)  # a run-length block stores one byte
        if header & 1:
            return at + (4 if has_checksum else 0)
    raise ValueError("too many blocks")


def _unpack(stream: _Stream) -> Bundle:
    members = _members(stream)
    name, data = next(members, ("", b""))
    if name != INDEX:
        raise stream.damaged(f"it does not begin with {INDEX}")
    version = msgspec.json.decode(data, type=_Version).format
    if version not in _READS:
        raise _unknown_format("bundle", version, FORMAT)
    index = msgspec.json.decode(data, type=Index)
    if not index.members or index.members[0].name != COLLECTION:
        raise stream.damaged(f"its index does not list {COLLECTION}")
    found: dict[str, bytes] = {}
    for member in index.members:
        name, data = next(members, ("", b""))
        if name != member.name or name in found or name == INDEX:
            raise stream.damaged(f"{member.name[:MAX_NAME]!r} is not where the index says")
        if len(data) != member.size or hashlib.sha256(data).hexdigest() != member.sha256:
            raise stream.damaged(f"the checksum of {name!r} is wrong")
        found[name] = data
    if next(members, None):
        raise stream.damaged("it has members that the index does not list")
    if folder := clash(found):
        raise stream.damaged(f"{folder!r} is both a file and a folder")
    return Bundle(_decode(found.pop(COLLECTION), index), index, found)


def _decode(data: bytes, index: Index) -> Collection:
    version = msgspec.json.decode(data, type=_ModelVersion).format
    if version > MODEL_FORMAT:
        raise _unknown_format("collection", version, MODEL_FORMAT)
    try:
        if index.format > 1 and b'"io_calls"' not in data:
            return msgspec.json.decode(data, type=Collection)
        return msgspec.convert(_of_earlier(msgspec.json.decode(data), index.format), Collection)
    except (msgspec.ValidationError, AttributeError, TypeError) as error:
        # Its checksum is right, so it is whole: another release has other fields.
        why = " ".join(str(error).split())[:200]
        said = f"the collection is not as lastbatch {release()} writes it: {why}"
        raise EvidenceError(said, f"Read it with the release that wrote it ({index.tool_version[:40]!r})") from error


_RENAMED = {"rung": "stacks_from", "sleeps": "blocking_calls", "links": "interfaces"}


def _of_earlier(collection: Any, form: int) -> Any:
    """Format 1 differs in names alone; samples of earlier releases counted calls, which nobody asked for."""
    for process in collection.get("processes", ()):
        for sample in process.get("samples", ()):
            sample.pop("io_calls", None)
        if form > 1:
            continue
        for old, new in _RENAMED.items():
            if old in process:
                process[new] = process.pop(old)
        for attempt in process.get("attempts", ()):
            attempt["collector"] = attempt.pop("rung", "")
    collection["format"] = MODEL_FORMAT
    return collection


def _unknown_format(what: str, found: int, known: int) -> EvidenceError:
    hint = "Read it with a newer lastbatch"
    return EvidenceError(f"the {what} has format {found}, this version reads {known}", hint)


class _ModelVersion(msgspec.Struct):
    format: int = MODEL_FORMAT


def _members(stream: _Stream) -> Iterator[tuple[str, bytes]]:
    for _ in range(MAX_MEMBERS + 2):
        header = stream.take(tarfile.BLOCKSIZE)
        if not any(header):
            rest = stream.take(2 * tarfile.RECORDSIZE)
            if not header or any(rest) or len(rest) >= 2 * tarfile.RECORDSIZE:
                raise stream.damaged("it does not end as a tar archive does")
            return
        info = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
        if info.type != tarfile.REGTYPE or not is_name(info.name):
            raise stream.damaged(f"member {info.name[:MAX_NAME]!r} is not a plain file with a plain name")
        if not 0 <= info.size <= MAX_MEMBER:
            raise stream.damaged(f"member {info.name!r} is larger than {MAX_MEMBER} bytes")
        data = stream.take(info.size)
        padding = stream.take(-info.size % tarfile.BLOCKSIZE)
        if len(data) != info.size or any(padding):
            raise stream.damaged(f"member {info.name!r} is cut short")
        yield info.name, data
    raise stream.damaged(f"it has more than {MAX_MEMBERS} members")
