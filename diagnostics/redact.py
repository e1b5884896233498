"""Secrets out of everything that is written down: pure functions of text, of commands and of the whole model.

A secret becomes a marker that names its kind, `[redacted:password]`. Rules (`diagnostics.redaction`) only point at
spans of the text; the spans are replaced all at once, line breaks kept, until no rule finds any more. So redacting
what has been redacted changes nothing.

What stays readable: user names, hosts, addresses, paths, versions, symbols, hex digits (build ids, commits,
checksums). So a secret made of hex digits is only known by what stands before it.

The text may be hostile: every repetition in a pattern is bounded, or nothing that can fail follows it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from diagnostics.model import Collection
from diagnostics.redaction.names import is_secret_name
from diagnostics.redaction.text import redact_binary as redact_binary
from diagnostics.redaction.text import redact_command as redact_command
from diagnostics.redaction.text import redact_lines as redact_lines
from diagnostics.redaction.text import redact_text as redact_text
from diagnostics.redaction.text import redact_value

T = TypeVar("T")

_COMMANDS = {"command", "argv", "args", "cmdline"}


def redact_collection(collection: Collection) -> Collection:
    """The collection with every string in it redacted, wherever it is."""
    seen: dict[str, str] = {}

    def text(value: Any, name: str) -> Any:
        if not isinstance(value, str):
            return value
        if is_secret_name(name):
            return redact_value(name, value)
        if value not in seen:
            seen[value] = redact_text(value)
        return seen[value]

    def texts(values: Sequence[str], name: str) -> tuple[str, ...]:
        if is_secret_name(name):
            return tuple(redact_value(name, value) for value in values)
        return redact_command(values) if name in _COMMANDS else redact_lines(values)

    return rebuild(collection, text, texts)


def rebuild(
    value: T,
    leaf: Callable[[Any, str], Any],
    texts: Callable[[Sequence[str], str], Sequence[str]] | None = None,
    name: str = "",
) -> T:
    """`value` with every leaf in it replaced by `leaf(it, name of the field or key it is in)`.

    `texts` gets sequences of strings as a whole.
    """
    return _rebuild(value, leaf, texts, name)  # type: ignore[no-any-return]


def _rebuild(value: Any, leaf: Callable[[Any, str], Any], texts: Any, name: str) -> Any:
    if isinstance(value, enum.Enum):
        return value
    if isinstance(value, msgspec.Struct):
        changed = {}
        for field in value.__struct_fields__:
            old = getattr(value, field)
            new = _rebuild(old, leaf, texts, field)
            if new is not old:
                changed[field] = new
        return msgspec.structs.replace(value, **changed) if changed else value
    if isinstance(value, dict):
        return {leaf(key, ""): _rebuild(item, leaf, texts, str(key)) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        if texts and value and all(type(item) is str for item in value):
            return type(value)(texts(value, name))
        return type(value)([_rebuild(item, leaf, texts, name) for item in value])
    return leaf(value, name)
