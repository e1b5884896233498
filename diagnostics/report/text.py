"""Words that every report shares: rank sets, durations, times, confidence, and text made harmless."""

from __future__ import annotations

import operator
import re
import signal
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import TypeVar

import msgspec

from diagnostics.model import Collection, StackNode

T = TypeVar("T")

DASH = "\N{EN DASH}"
"""Stands where nothing is known."""

LONGEST = 2000
"""No string of the evidence is shown longer than this: a log line may be a whole file."""

# Controls, line and paragraph separators, surrogates, private use, and the format characters that reorder
# or hide what follows them.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\uf8ff"
    "\ufeff\ufff9-\uffff\U000e0000-\U0010ffff]"
)
_RANK = re.compile(r"(?P<role>.*):(?P<index>0|[1-9][0-9]{0,8})", re.DOTALL)


def sanitize(value: T) -> T:
    """`value` with every string in it made harmless to show; what was unsafe stays visible as an escape.

    Each renderer passes what it is given through here first, so no template has to remember to.
    """
    if isinstance(value, Collection) and _is_harmless(value):
        return value
    return _walk(value)  # type: ignore[return-value]


def _is_harmless(value: object) -> bool:
    """Whether every string in it is short, printable ASCII: seen in its JSON, ten times as fast as string by string."""
    try:
        written = msgspec.json.encode(value)
    except (TypeError, ValueError, RecursionError):
        return False
    # JSON escapes whatever is not printable but DEL; what lies between two quotes is a string or what divides two.
    plain = written.isascii() and b"\\" not in written and b"\x7f" not in written
    return plain and max(map(len, written.split(b'"'))) < LONGEST


def _walk(value: object) -> object:
    # An enum's member is a str too, but it is ours. A tree may be deeper than Python's own stack may grow:
    # whoever draws its nodes sanitizes their text.
    kind = type(value)
    if kind is str:
        return sanitize_text(value)  # type: ignore[arg-type]
    if not value or kind in _PLAIN:
        return value
    if isinstance(value, StackNode):
        return value
    if isinstance(value, msgspec.Struct):
        changed = {}
        for name in value.__struct_fields__:
            old = getattr(value, name)
            if old and type(old) not in _PLAIN and (new := _walk(old)) is not old:
                changed[name] = new
        return msgspec.structs.replace(value, **changed) if changed else value
    if isinstance(value, tuple):
        walked = tuple(map(_walk, value))
        return walked if any(map(operator.is_not, walked, value)) else value
    if isinstance(value, dict):
        return {_walk(key): _walk(item) for key, item in value.items()}
    return value


_PLAIN = frozenset({int, float, bool, type(None)})


def sanitize_text(text: str) -> str:
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}… ({len(text) - LONGEST:,} more characters)"
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub(_visible, text)


def _visible(match: re.Match[str]) -> str:
    character = match[0]
    if character == "\t":
        return "    "
    if character == "\n":
        return " ↵ "
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def rank_order(rank: str) -> tuple[str, int, str]:
    """Sort key: by role, then by number."""
    match = _RANK.fullmatch(rank)
    return (match["role"], int(match["index"]), "") if match else (rank, -1, rank)


def compact_ranks(ranks: Iterable[str]) -> str:
    """Names the set of ranks: `ps:0-3, worker:0`.

    >>> compact_ranks(["worker:0", "ps:1", "ps:0", "ps:3"])
    'ps:0-1,3, worker:0'
    """
    numbers: dict[str, list[int]] = defaultdict(list)
    alone: list[str] = []
    for rank in sorted(set(ranks), key=rank_order):
        match = _RANK.fullmatch(rank)
        if match:
            numbers[match["role"]].append(int(match["index"]))
        else:
            alone.append(rank)
    named = [(role, f"{role}:{_runs(indices)}") for role, indices in numbers.items()]
    named += [(rank, rank) for rank in alone]
    return ", ".join(text for _, text in sorted(named))


def _runs(indices: list[int]) -> str:
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


_CHILD = re.compile(r"\b(child|launcher)/(?:([^\s,;()]+)/)?(\d+)\b")


def named_plainly(text: str) -> str:
    """Ranks' children and launchers as people would say: `child/worker:0/4711` -> `child 4711 of worker:0`.

    >>> named_plainly("child/child/pid:7/8/9 and launcher/4")
    'child 9 of child 8 of pid:7 and launcher 4'
    """
    while (changed := _CHILD.sub(_plain_name, text)) != text:
        text = changed
    return text


def _plain_name(match: re.Match[str]) -> str:
    return f"{match[1]} {match[3]}" + (f" of {match[2]}" if match[2] else "")


def duration(seconds: float) -> str:
    """`180 µs`, `2 ms`, `14.2 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`; a dash where it is not known."""
    if seconds < 0 or seconds != seconds or seconds == float("inf"):
        return DASH
    if seconds < 0.0009995:
        return f"{seconds * 1e6:.0f} µs" if seconds else "0 s"
    if seconds < 0.9995:
        milliseconds = seconds * 1000
        return f"{milliseconds:.1f} ms" if milliseconds < 9.95 and milliseconds % 1 > 0.05 else f"{milliseconds:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, part, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit} {rest} {small}" if rest else f"{whole // size} {unit}"
    return f"{seconds:.1f} s"


def milliseconds(seconds: float) -> str:
    """A pause, always in ms: pauses are compared with each other."""
    if seconds <= 0:
        return "0"
    return f"{seconds * 1000:,.1f}" if seconds < 0.01 else f"{seconds * 1000:,.0f}"


def size(count: int) -> str:
    """`812 B`, `4.1 kB`, `23 MB`."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.5 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def plural(count: int, noun: str, many: str = "") -> str:
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def wall_time(seconds: float) -> str:
    """`2024-05-01 10:02:11 UTC`; a dash for a time that no calendar holds."""
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return DASH


def clock(seconds: float) -> str:
    """`10:02:11` of `wall_time`."""
    return wall_time(seconds)[11:19] or DASH


def confidence_words(confidence: float) -> str:
    """What the number means to a reader. Up to 0.5 a finding names no verdict."""
    for least, words in ((0.95, "all but certain"), (0.85, "very likely"), (0.7, "likely")):
        if confidence >= least:
            return words
    return "more likely than not" if confidence > 0.5 else "not carried by the evidence"


def percent(confidence: float) -> str:
    """Never 0 % or 100 %: a diagnosis is not a proof."""
    clamped = min(max(confidence, 0.0), 1.0) if confidence == confidence else 0.0
    return f"{min(max(round(clamped * 100), 1), 99)} %"


def exit_words(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"ended by signal {-status}"


def columns(text: str) -> int:
    """Cells that `text` takes in a terminal, near enough."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
