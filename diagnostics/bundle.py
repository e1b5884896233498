"""One archive with all evidence of one collection: `NAME.tar.zst`.

What is inside, in this order: `index.json` (format, tool version, every other member with size and sha256),
`collection.json` (a `Collection`), then the attachments as they are named, such as `ranks/worker-0/flight`.

`write` redacts what it is given, so that nobody can forget to. `read` takes the file for hostile: one zstd
frame with its size declared, plain ustar headers, exactly the members that the index lists, everything within
limits. Nothing is unpacked to disk unless `extract` is asked to.
"""

from __future__ import annotations

import enum
import hashlib
import io
import math
import os
import re
import stat
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import zstandard

from diagnostics import redact
from diagnostics.errors import NO_SPACE, EvidenceError, LastbatchError, MissingError, UsageError
from diagnostics.model import BUNDLE_SUFFIX, Collection, Record
from diagnostics.model import FORMAT as MODEL_FORMAT
from diagnostics.version import release

FORMAT = 2
_READS = (1, 2)
SUFFIX = BUNDLE_SUFFIX
INDEX = "index.json"
COLLECTION = "collection.json"

MAX_COMPRESSED = 256 << 20
MAX_MEMBER = 64 << 20
MAX_TOTAL = 256 << 20
MAX_MEMBERS = 4096
MAX_NAME = 100  # what a ustar header holds without a prefix
MAX_WINDOW = 8 << 20  # memory that zstd may take; the level used for writing asks for 2 MiB
MAX_BLOCKS = 1 << 18

_LEVEL = 3
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@+=-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.:@+=-]*)*")
_COPY_AGAIN = "Copy it again from where it was written, or collect anew"
_NOT_OURS = "Give a file that `lastbatch attach` wrote (NAME.tar.zst)"


class Kind(str, enum.Enum):
    """What a member is, which decides how it is redacted."""

    MODEL = "model"
    TEXT = "text"  # secrets become markers
    RECORDER = "recorder"  # binary: secrets in it are overwritten in place, the length stays


class Attachment(NamedTuple):
    data: bytes
    kind: Kind = Kind.TEXT


class Member(Record, frozen=True):
    name: str
    size: int
    sha256: str
    kind: Kind


class Index(Record, frozen=True):
    """First member of a bundle. `left_out` names attachments that did not fit, with why."""

    format: int
    tool_version: str
    members: tuple[Member, ...]
    left_out: Mapping[str, str] = msgspec.field(default_factory=dict)


@dataclass(frozen=True)
class Bundle:
    collection: Collection
    index: Index
    attachments: dict[str, bytes]

    def text(self, name: str) -> str:
        return self.attachments[name].decode("utf-8", "replace")


class _Version(msgspec.Struct):
    """All that is asked of an index before its format is known."""

    format: int


def member_name(*parts: str) -> str:
    """A name that a bundle takes, made of anything: `member_name("ranks", "worker:0", "log")`."""
    cleaned = (re.sub(r"[^A-Za-z0-9_.@+=-]+", "-", part).strip(".-") or "_" for part in parts)
    name = "/".join(part if part[0].isalnum() else "_" + part for part in cleaned)
    if len(name) <= MAX_NAME:
        return name
    return name[: MAX_NAME - 17].rstrip("/") + "-" + hashlib.sha256(name.encode()).hexdigest()[:16]


def write(path: Path, collection: Collection, attachments: Mapping[str, str | bytes | Attachment]) -> Path:
    """Write a bundle, redacted, for its owner's eyes only; all of it or nothing appears under `path`.

    Attachments that come without a kind are text. What does not fit is left out, and the index says so.

    Raises:
        MissingError: it cannot be written there: no space, no right.
    """
    members: dict[str, Attachment] = {COLLECTION: Attachment(_encode(collection), Kind.MODEL)}
    left_out: dict[str, str] = {}
    room = MAX_TOTAL - (2 << 20) - len(members[COLLECTION].data)
    if room < 0 or len(members[COLLECTION].data) > MAX_MEMBER:
        raise LastbatchError("the collection is too large for a bundle", "Collect fewer ranks at a time")
    for given, value in attachments.items():
        name = redact.redact_text(given)
        if name != given:
            name = member_name(*name.split("/"))
        if not _is_name(name) or name in members or name == INDEX:
            raise UsageError(f"an attachment cannot be called {name!r}", "Use member_name() to make a name")
        attachment = _redacted(value)
        if len(attachment.data) > MAX_MEMBER:
            left_out[name] = f"{len(attachment.data)} bytes, more than {MAX_MEMBER}"
        elif len(attachment.data) + 1024 > room or len(members) >= MAX_MEMBERS:
            left_out[name] = "the bundle is full"
        else:
            members[name] = attachment
            room -= len(attachment.data) + 1024
    clash = _clash(members)
    if clash:
        raise UsageError(f"attachment {clash!r} is a folder of another", "Use another name")
    _replace(path, _pack(members, left_out))
    return path


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


def extract(bundle: Bundle, directory: Path) -> list[Path]:
    """Write the collection and the attachments as files below `directory`, which must be new or empty."""
    contents = {COLLECTION: msgspec.json.encode(bundle.collection), **bundle.attachments}
    for name in contents:
        if not _is_name(name):
            raise EvidenceError(f"the bundle names a member {name!r}", "Do not trust where it comes from")
    paths = []
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise UsageError(f"{directory} is not empty", "Name a new directory")
        for name, data in contents.items():
            path = directory / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(data)
            paths.append(path)
    except OSError as error:
        raise _cannot_write(directory, error) from error
    return paths


def _is_name(name: str) -> bool:
    return len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None


def _clash(names: Mapping[str, object]) -> str:
    """A name that is also a folder of another one, if there is one."""
    for name in names:
        parent = name
        while "/" in parent:
            parent = parent.rpartition("/")[0]
            if parent in names:
                return parent
    return ""


# Writing


def _encode(collection: Collection) -> bytes:
    return msgspec.json.encode(redact.rebuild(redact.redact_collection(collection), _storable))


def _storable(value: Any, _: str) -> Any:
    """What JSON can hold: no lone surrogates (from undecodable bytes), no infinities (-1: not known)."""
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return -1.0
    return value


def _redacted(value: str | bytes | Attachment) -> Attachment:
    if isinstance(value, str):
        value = value.encode("utf-8", "backslashreplace")
    attachment = value if isinstance(value, Attachment) else Attachment(value)
    if attachment.kind is Kind.TEXT:
        text = attachment.data.decode("utf-8", "backslashreplace")
        return Attachment(redact.redact_text(text).encode(), Kind.TEXT)
    return Attachment(redact.redact_binary(attachment.data), attachment.kind)


def _pack(members: Mapping[str, Attachment], left_out: dict[str, str]) -> bytes:
    listed = tuple(
        Member(name, len(item.data), hashlib.sha256(item.data).hexdigest(), item.kind) for name, item in members.items()
    )
    index = msgspec.json.format(msgspec.json.encode(Index(FORMAT, release(), listed, left_out)))
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in [(INDEX, index), *((name, item.data) for name, item in members.items())]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mode = 0o600
            tar.addfile(info, io.BytesIO(data))
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(archive.getbuffer())


def _replace(path: Path, data: bytes) -> None:
    part = ""
    try:
        descriptor, part = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)  # 0600
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        part = ""
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        if part:
            os.unlink(part)


def _cannot_write(path: Path, error: OSError) -> LastbatchError:
    hint = "Name another place to write to with --out"
    if error.errno in NO_SPACE:
        hint = "Free some space, or name another place to write to with --out"
    return MissingError(f"cannot write {path}: {error.strerror or error}", hint)


# Reading


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
    if _clash(found):
        raise stream.damaged(f"{_clash(found)!r} is both a file and a folder")
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
        if info.type != tarfile.REGTYPE or not _is_name(info.name):
            raise stream.damaged(f"member {info.name[:MAX_NAME]!r} is not a plain file with a plain name")
        if not 0 <= info.size <= MAX_MEMBER:
            raise stream.damaged(f"member {info.name!r} is larger than {MAX_MEMBER} bytes")
        data = stream.take(info.size)
        padding = stream.take(-info.size % tarfile.BLOCKSIZE)
        if len(data) != info.size or any(padding):
            raise stream.damaged(f"member {info.name!r} is cut short")
        yield info.name, data
    raise stream.damaged(f"it has more than {MAX_MEMBERS} members")
