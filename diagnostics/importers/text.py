"""Bytes of a pasted or saved text as text, whatever encoding it was saved in. Pure."""

from __future__ import annotations

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LOOKED_AT = 4096
_MOSTLY = 0.3


def decoded(data: bytes) -> str:
    """UTF-8, UTF-16 (also without a mark, as Windows' shells save it), else Latin-1: every byte means something."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    if encoding := _wide(data[:_LOOKED_AT]):
        return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        # The beginning of a long text is not read, and may be cut within a character; so may the end.
        cut = error.start < 4 or error.end > len(data) - 4
        return data.decode("utf-8", "replace") if cut or _is_utf8(data) else data.decode("latin-1")


def is_text(data: bytes) -> bool:
    """Whether people could read it: few control characters, in whatever encoding."""
    sample = decoded(data[:_LOOKED_AT])
    strange = sum(character < " " and character not in "\t\r\n\f\v\b\x1b" for character in sample)
    return strange <= 0.05 * len(sample)


def _wide(sample: bytes) -> str:
    pairs = max(1, len(sample) // 2)
    if sample[1::2].count(0) > _MOSTLY * pairs and sample[::2].count(0) < 0.05 * pairs:
        return "utf-16-le"
    if sample[::2].count(0) > _MOSTLY * pairs and sample[1::2].count(0) < 0.05 * pairs:
        return "utf-16-be"
    return ""


def _is_utf8(data: bytes) -> bool:
    """Whether the broken bytes are few among characters that are whole."""
    text = data[:1 << 20].decode("utf-8", "replace")
    broken = text.count("\ufffd")
    whole = sum(character > "\x7f" and character != "\ufffd" for character in text)
    return broken <= whole
