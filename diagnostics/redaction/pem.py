"""Private keys in PEM."""

import re
from typing import Iterator, Tuple

from diagnostics.redaction import Span

_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIV[A-Z ]{0,20}-{0,5}")
_END = re.compile(r"-----END (?:[A-Z0-9]+ ){0,4}PRIV[A-Z ]{0,20}-{0,5}")
_REST = re.compile(r"(?:\\+[nr]|[A-Za-z0-9+/= \r])*")
_LINE = re.compile(r"(?:^|.*[^A-Za-z0-9+/=])[A-Za-z0-9+/]{40,}={0,2}\s*|\s*|.*(?:Proc-Type|DEK-Info): .*")
_LAST = re.compile(r"[A-Za-z0-9+/]{1,75}={0,2}\s*|.*\s[A-Za-z0-9+/]{1,75}={1,2}\s*|.*\s[A-Za-z0-9+/]{20,75}\s*")
_LENGTH, _LINES = 20_000, 120


def private_keys(text: str) -> Iterator[Span]:
    """PEM blocks, also where a log has only the beginning or the end of one, or a prefix on every line."""
    kind = "private-key"
    until = 0
    for begin in _BEGIN.finditer(text):
        if begin.start() < until:
            continue
        end = _END.search(text, begin.end(), begin.end() + _LENGTH)
        if end:
            until = end.end()
        else:
            rest = _REST.match(text, begin.end())
            until = rest.end() if rest else begin.end()
            for start, stop in _lines_after(text, until):
                whole = _LINE.fullmatch(text, start, stop)
                if whole or _LAST.fullmatch(text, start, stop):
                    until = stop
                if not whole:
                    break
        yield begin.start(), until, kind
    for end in _END.finditer(text):
        start = end.start()
        if text.rfind("-----BEGIN", 0, start) > text.rfind("-----END", 0, start):
            continue
        first = text.rfind("\n", 0, start) + 1
        inline = re.search(r"(?:\\+[nr]|[A-Za-z0-9+/=])*\Z", text[max(first, start - _LENGTH) : start])
        start -= len(inline[0]) if inline else 0
        for _ in range(_LINES):
            stop = first - 1
            before = text.rfind("\n", 0, max(stop, 0)) + 1
            is_last = first > text.rfind("\n", 0, end.start()) and _LAST.fullmatch(text, before, stop)
            if stop <= 0 or not (is_last or _LINE.fullmatch(text, before, stop)):
                break
            start = first = before
        yield start, end.end(), kind


def _lines_after(text: str, at: int) -> Iterator[Tuple[int, int]]:
    for _ in range(_LINES):
        start = text.find("\n", at) + 1
        if not start:
            return
        at = text.find("\n", start)
        at = len(text) if at < 0 else at
        yield start, at
