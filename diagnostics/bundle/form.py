"""What a bundle is made of: names, limits, the index."""

from __future__ import annotations

import enum
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from diagnostics.model import BUNDLE_SUFFIX, Collection, Record

FORMAT = 2
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

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@+=-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.:@+=-]*)*")


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


def member_name(*parts: str) -> str:
    """A name that a bundle takes, made of anything: `member_name("ranks", "worker:0", "log")`."""
    cleaned = (re.sub(r"[^A-Za-z0-9_.@+=-]+", "-", part).strip(".-") or "_" for part in parts)
    name = "/".join(part if part[0].isalnum() else "_" + part for part in cleaned)
    if len(name) <= MAX_NAME:
        return name
    return name[: MAX_NAME - 17].rstrip("/") + "-" + hashlib.sha256(name.encode()).hexdigest()[:16]


def is_name(name: str) -> bool:
    return len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None


def clash(names: Mapping[str, object]) -> str:
    """A name that is also a folder of another one, if there is one."""
    for name in names:
        parent = name
        while "/" in parent:
            parent = parent.rpartition("/")[0]
            if parent in names:
                return parent
    return ""
