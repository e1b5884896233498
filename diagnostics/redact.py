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
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from diagnostics.model import Collection
from diagnostics.redaction import MARKER
from diagnostics.redaction.cover import MAX_PASSES, settle
from diagnostics.redaction.names import is_secret_name, kind_of, tells

T = TypeVar("T")

_MASK = re.compile(r"\*+")
_ARGUMENT = re.compile(r"(?P<name>-{0,2}[A-Za-z_][\w.-]*)(?:==?|:)(?P<value>.+)", re.DOTALL)
_COMMANDS = {"command", "argv", "args", "cmdline"}


def redact_text(text: str) -> str:
    """`text` with a marker in place of every secret; as many lines as before."""
    return settle(text, MARKER, lambda kind, _: f"[redacted:{kind}]")


def redact_binary(data: bytes) -> bytes:
    """`data` of the same length, with `*` in place of every secret in what is printable in it."""
    return re.sub(rb"[\t\n\r\x20-\x7e\x80-\xff]{6,}", lambda run: _mask(run[0]), data)


def redact_lines(lines: Sequence[str]) -> tuple[str, ...]:
    """Like `redact_text` for a text in lines, which may break a secret in two."""
    if not lines:
        return ()
    rest = redact_text("\n".join(lines)).split("\n")
    redacted, at = [], 0
    for line in lines:
        count = line.count("\n") + 1
        redacted.append("\n".join(rest[at : at + count]))
        at += count
    return tuple(redacted)


def redact_command(argv: Sequence[str]) -> tuple[str, ...]:
    """A command line; the value of an option is redacted whole, whatever is in it."""
    before: tuple[str, ...] = ()
    after = tuple(argv)
    for _ in range(MAX_PASSES):
        if before == after:
            break
        before = after
        options = []
        named = ""
        for argument in before:
            assigned = _ARGUMENT.fullmatch(argument)
            if named and argument and (not argument.startswith("--") or "=" in argument):
                options.append(_value(named, argument))
                named = ""
                continue
            is_option = re.fullmatch(r"--?[A-Za-z][\w.-]*", argument) and is_secret_name(argument)
            named = argument if is_option else ""
            if assigned and is_secret_name(assigned["name"]):
                head = argument[: assigned.start("value")]
                options.append(head + _value(assigned["name"], assigned["value"]))
            else:
                options.append(argument)
        after = redact_lines(options)
    return after


def redact_environ(environ: Mapping[str, str]) -> dict[str, str]:
    return {redact_text(name): _value(name, value) for name, value in environ.items()}


def redact_collection(collection: Collection) -> Collection:
    """The collection with every string in it redacted, wherever it is."""
    seen: dict[str, str] = {}

    def text(value: Any, name: str) -> Any:
        if not isinstance(value, str):
            return value
        if is_secret_name(name):
            return _value(name, value)
        if value not in seen:
            seen[value] = redact_text(value)
        return seen[value]

    def texts(values: Sequence[str], name: str) -> tuple[str, ...]:
        if is_secret_name(name):
            return tuple(_value(name, value) for value in values)
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


def _value(name: str, value: str) -> str:
    if not is_secret_name(name) or not tells(name, value):
        return redact_text(value)
    return f"[redacted:{kind_of(name)}]"


def _mask(run: bytes) -> bytes:
    text = run.decode("latin-1")
    return settle(text, _MASK, lambda _, secret: "*" * len(secret)).encode("latin-1")
