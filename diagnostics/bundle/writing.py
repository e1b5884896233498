"""Writes a bundle, and its members as files: redacted, and all of it or nothing."""

from __future__ import annotations

import hashlib
import io
import math
import os
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from diagnostics import redact
from diagnostics.bundle.form import (
    COLLECTION,
    FORMAT,
    INDEX,
    MAX_MEMBER,
    MAX_MEMBERS,
    MAX_TOTAL,
    Attachment,
    Bundle,
    Index,
    Kind,
    Member,
    clash,
    is_name,
    member_name,
)
from diagnostics.errors import NO_SPACE, EvidenceError, LastbatchError, MissingError, UsageError
from diagnostics.model import Collection
from diagnostics.version import release

_LEVEL = 3


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
        if not is_name(name) or name in members or name == INDEX:
            raise UsageError(f"an attachment cannot be called {name!r}", "Use member_name() to make a name")
        attachment = _redacted(value)
        if len(attachment.data) > MAX_MEMBER:
            left_out[name] = f"{len(attachment.data)} bytes, more than {MAX_MEMBER}"
        elif len(attachment.data) + 1024 > room or len(members) >= MAX_MEMBERS:
            left_out[name] = "the bundle is full"
        else:
            members[name] = attachment
            room -= len(attachment.data) + 1024
    if folder := clash(members):
        raise UsageError(f"attachment {folder!r} is a folder of another", "Use another name")
    _replace(path, _pack(members, left_out))
    return path


def extract(bundle: Bundle, directory: Path) -> list[Path]:
    """Write the collection and the attachments as files below `directory`, which must be new or empty."""
    contents = {COLLECTION: msgspec.json.encode(bundle.collection), **bundle.attachments}
    for name in contents:
        if not is_name(name):
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
