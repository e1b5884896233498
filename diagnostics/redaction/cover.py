"""Finds every secret in a text, and puts something else in its place."""

from typing import Any, Callable, Iterable, Iterator, List, Pattern

from diagnostics.redaction import Span
from diagnostics.redaction.assigned import assigned, flags
from diagnostics.redaction.chance import drawn_by_lot
from diagnostics.redaction.pem import private_keys
from diagnostics.redaction.rules import RULES

MAX_PASSES = 20  # two or three are usual


def settle(text: str, done: Pattern[str], cover: Callable[[str, str], str]) -> str:
    """Cover every secret in the text, again and again until none is found; what is `done` is never one."""
    for _ in range(MAX_PASSES):
        # Last the vaguest rule: a marker should name the kind where it can.
        spans = _merged(text, _find(text), done) or _merged(text, drawn_by_lot(text), done)
        if not spans:
            return text
        pieces, at = [], 0
        for start, end, kind in spans:
            lines = text[start:end].split("\n")
            pieces.append(text[at:start])
            pieces.append("\n".join(cover(kind, line) if line.strip() else line for line in lines))
            at = end
        text = "".join(pieces) + text[at:]
    return "\n".join(cover("text", line) if line else line for line in text.split("\n"))


def _merged(text: str, spans: Iterable[Span], done: Pattern[str]) -> List[Span]:
    """The spans in order and apart, whole markers only, without those that have nothing left to cover."""
    merged: List[List[Any]] = []
    for start, end, kind in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1][1] = max(end, merged[-1][1])
        else:
            merged.append([start, end, kind])
    if not merged:
        return []
    covered = [match.span() for match in done.finditer(text)]
    result: List[List[Any]] = []
    at = 0
    for start, end, kind in merged:
        while at < len(covered) and covered[at][1] <= start:
            at += 1
        inside = at
        while inside < len(covered) and covered[inside][0] < end:
            start, end = min(start, covered[inside][0]), max(end, covered[inside][1])
            inside += 1
        if result and start < result[-1][1]:
            result[-1][1] = max(end, result[-1][1])
        else:
            result.append([start, end, kind])
    return [(start, end, kind) for start, end, kind in result if done.sub("", text[start:end]).strip()]


def _find(text: str) -> Iterator[Span]:
    lower = text.lower()
    for kind, needs, pattern in RULES:
        if any(need in lower for need in needs):
            group = "secret" if "secret" in pattern.groupindex else 0
            for match in pattern.finditer(text):
                yield (*match.span(group), kind)
    if "=" in text or ":" in text or "," in text:
        yield from assigned(text, lower)
    if "-" in text:
        yield from flags(text)
    if "-----" in text:
        yield from private_keys(text)
