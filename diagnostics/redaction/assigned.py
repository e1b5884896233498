"""Values under the names of secrets: assigned, in a dictionary or header, or after an option."""

import re
from typing import Iterator, Tuple

from diagnostics.redaction import Span
from diagnostics.redaction.names import STEMS, STRONG, WEAK, is_secret_name, is_strong_name, kind_of, tells

_SIGN = re.compile(
    rf"(?i)(?:{STRONG}|{WEAK})[\w.-]{{0,40}}"
    r"(?P<close>\\{0,3}[\"'][\])]?)?\s{0,3}(?P<sign>=>|:=|={1,2}|:(?!:)|,(?=\s{0,3}[bru]?\\{0,3}[\"']))\s{0,3}"
)
_VALUE = re.compile(
    r"(?P<listed>[(\[]\s{0,3}(?:[bru]?(?:'[^'\n]{0,300}'|\"[^\"\n]{0,300}\")[\s,]{0,4}){1,20}[)\]]?)|"
    r"[bruf]?(?:\\{1,3}[\"'](?P<escaped>(?:[^\"'\\\n]|\\(?![\\\"']))*)"
    r"|\"(?P<double>(?:[^\"\\\n]|\\.)*)|'(?P<single>(?:[^'\\\n]|\\.)*))"
    r"|(?P<bare>(?:(?![&;,|](?:[ ]{0,3}[\w.\"'\[-]{1,60}[ ]{0,2}[=:]|\s|$))[^\s\"'<>\x00-\x1f])+)"
)
_LINE_VALUE = re.compile(r"[bru]?(?:\\?\"(?P<double>[^\"\\\n]*)|\\?'(?P<single>[^'\\\n]*)|(?P<bare>[^\n\"']+))")
_FLAG = re.compile(r"(?<![\w-])(?P<name>--?[A-Za-z][\w.-]{1,80})(?:[ \t]{1,4}|\n)(?![-\s])")
_LIKE_SECRET = re.compile(r"(?=[^\n]{0,80}\d)(?=[^\n]{0,80}[A-Za-z]).{8,}")


def assigned(text: str, lower: str) -> Iterator[Span]:
    """`password=x`, `"token": "x"`, `X-Api-Key: x`, `['--password', 'x']`."""
    taken = 0
    parts = _lines_with(STEMS, text, lower)
    for match in (match for start, end in parts for match in _SIGN.finditer(text, start, end)):
        start = match.start()
        if start < taken or (match["sign"] == "==" and text[match.end() : match.end() + 1].isdigit()):
            continue
        first = max(start - 60, 0)
        while start > first and (text[start - 1].isalnum() or text[start - 1] in "_.-"):
            start -= 1
        name = text[start : match.start("sign")].rstrip("\\\"'])\n\t ")
        if not is_secret_name(name):
            continue
        if match["sign"] == "," and not (name.startswith("-") or (start > 1 and text[start - 2] == "(")):
            continue
        is_line = re.search(r"(?i)(?:authorization|cookie)$", name) is not None
        value = (_LINE_VALUE if is_line else _VALUE).match(text, match.end())
        group = value.lastgroup if value else None
        if not value or not group:
            continue
        first, last = value.span(group)
        if group == "bare":
            while last > first and text[last - 1] in ",;.)]}\\":
                last -= 1
        secret = text[first:last]
        if not secret or not tells(name, secret):
            continue
        is_prose = group == "bare" and not match["close"] and match["sign"] == ":" != text[match.end() - 1]
        if is_prose and not is_strong_name(name) and not _LIKE_SECRET.match(secret):
            continue
        yield first, last, kind_of(name)
        taken = last


def _lines_with(stems: Tuple[str, ...], text: str, lower: str) -> Iterator[Tuple[int, int]]:
    """Lines in which one of the stems is, each with a bit of the next one; all of a text that is short."""
    if len(text) < 200 or len(lower) != len(text):  # a few letters have a longer lower case
        if any(stem in lower for stem in stems):
            yield 0, len(text)
        return
    at = 0
    for line in lower.split("\n"):
        if any(stem in line for stem in stems):
            yield at, at + len(line) + 60
        at += len(line) + 1


def flags(text: str) -> Iterator[Span]:
    """`--password x`"""
    for match in _FLAG.finditer(text):
        value = _VALUE.match(text, match.end()) if is_secret_name(match["name"]) else None
        if value and value.lastgroup and tells(match["name"], value[value.lastgroup]):
            yield (*value.span(value.lastgroup), kind_of(match["name"]))
