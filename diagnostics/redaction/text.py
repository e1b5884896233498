"""Secrets out of text and command lines. Pure; CPython 3.6 and the standard library alone, for the collector."""

import re
from typing import List, Sequence, Tuple

from diagnostics.redaction import MARKER
from diagnostics.redaction.cover import MAX_PASSES, settle
from diagnostics.redaction.names import is_secret_name, kind_of, tells

_MASK = re.compile(r"\*+")
_ARGUMENT = re.compile(r"(?P<name>-{0,2}[A-Za-z_][\w.-]*)(?:==?|:)(?P<value>.+)", re.DOTALL)


def redact_text(text: str) -> str:
    """`text` with a marker in place of every secret; as many lines as before."""
    return settle(text, MARKER, lambda kind, _: f"[redacted:{kind}]")


def redact_binary(data: bytes) -> bytes:
    """`data` of the same length, with `*` in place of every secret in what is printable in it."""
    return re.sub(rb"[\t\n\r\x20-\x7e\x80-\xff]{6,}", lambda run: _mask(run[0]), data)


def redact_lines(lines: Sequence[str]) -> Tuple[str, ...]:
    """Like `redact_text` for a text in lines, which may break a secret in two."""
    if not lines:
        return ()
    rest = redact_text("\n".join(lines)).split("\n")
    redacted: List[str] = []
    at = 0
    for line in lines:
        count = line.count("\n") + 1
        redacted.append("\n".join(rest[at : at + count]))
        at += count
    return tuple(redacted)


def redact_command(argv: Sequence[str]) -> Tuple[str, ...]:
    """A command line; the value of an option is redacted whole, whatever is in it."""
    before: Tuple[str, ...] = ()
    after = tuple(argv)
    for _ in range(MAX_PASSES):
        if before == after:
            break
        before = after
        options: List[str] = []
        named = ""
        for argument in before:
            assigned = _ARGUMENT.fullmatch(argument)
            if named and argument and (not argument.startswith("--") or "=" in argument):
                options.append(redact_value(named, argument))
                named = ""
                continue
            is_option = re.fullmatch(r"--?[A-Za-z][\w.-]*", argument) and is_secret_name(argument)
            named = argument if is_option else ""
            if assigned and is_secret_name(assigned["name"]):
                head = argument[: assigned.start("value")]
                options.append(head + redact_value(assigned["name"], assigned["value"]))
            else:
                options.append(argument)
        after = redact_lines(options)
    return after


def redact_value(name: str, value: str) -> str:
    """The value of an option or a variable of that name."""
    if not is_secret_name(name) or not tells(name, value):
        return redact_text(value)
    return f"[redacted:{kind_of(name)}]"


def _mask(run: bytes) -> bytes:
    text = run.decode("latin-1")
    return settle(text, _MASK, lambda _, secret: "*" * len(secret)).encode("latin-1")
