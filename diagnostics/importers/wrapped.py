"""Lines that a terminal, a mail program or a web form broke at a width, whole again. Pure.

A terminal breaks after exactly so many characters, in the middle of words and numbers; a mail program between words.
Nothing is joined where the width does not explain the break: a record that is longer than the width shows that there
was none.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter

NARROWEST, WIDEST = 60, 400
_MOST_PARTS = 60
"""Lines of the paste that one line of the original may have become."""

_BEGINS = re.compile(
    r"""\s*(?:
        \#\d+\s|frame\ \#\d|File\ "|Thread\ |Current\ thread|Process\ \d|Traceback|TID\ \d
        |PID\ \d|\(gdb\)|\(lldb\)
        |\[<|\*\ thread|thread\ \#|[EWIFD]\d{3,4}\ |\d{4}-\d\d-\d\d|\w{3}\ +\d{1,2}\ \d\d:|\d+:\s|[$#%>]\ |\^C
        |(?:INFO|WARN|WARNING|ERROR|DEBUG|CRITICAL|FATAL)\b|[\w.]*(?:Error|Exception|Interrupt)\b|During\ handling
        |The\ above\ exception|Missing\ ranks|Stalled\ |[a-z][\w.-]*-\d+\ +\||Call\ Trace|Root\ Cause|Failures:|[=*-]{4}
        |(?:time|host|rank|exitcode|error_file|traceback)\s*:\s|Rank\ \d+\ --|Ranks?\ \d+\ ha(?:ve|s)\ 
        |\d+\ ranks\ have|\S+\ +\d+\ +\d+\.\d\ +\d+\.\d\ +\d+\ +\d+\ \S
    )""",
    re.X,
)
_MAY_BEGIN = re.compile(r"\s*[\[(<]\w")
"""Begins a record, unless the line before has a bracket open where it was broken."""
_SPEAKER = re.compile(r"\((?:[\w.:-]+(?: rank=\d+)? )?(?:pid|PID)=")
_COMPLETE = re.compile(r'^\s*(?:File ".*", line \d+,? in \S+|\S.* \([^()]*:\d+\)|\}|\))$')


def unwrapped(lines: list[str]) -> list[str]:
    """The lines as they were before something broke them; unchanged where nothing did."""
    width = _width(lines)
    if not width:
        return lines
    whole: list[str] = []
    parts, last = 0, ""
    for line in lines:
        if whole and parts < _MOST_PARTS and (glue := _glue(last, line, width)) is not None:
            whole[-1] += glue + (line.lstrip() if glue else line)
            parts += 1
        else:
            whole.append(line)
            parts = 1
        last = line
    return whole


def _width(lines: list[str]) -> int:
    """At which width they were broken, 0 for not at all."""
    lengths = Counter(len(line) for line in lines if len(line) >= NARROWEST)
    if not lengths:
        return 0
    widest = max(lengths)
    if widest > WIDEST:
        return 0
    broken = [
        (line, following)
        for line, following in itertools.pairwise(lines)
        if len(line) == widest and following.strip() and not _begins(following, line) and not _COMPLETE.match(line)
    ]
    if len(broken) > 1 or (broken and (len(broken[0][1]) < widest and _is_open(broken[0][0]))):
        return widest
    return _width_of_words(lines, widest)


def _width_of_words(lines: list[str], widest: int) -> int:
    """Where lines were broken between words: those that go on could not have held the next word."""
    pairs = [(a, b) for a, b in itertools.pairwise(lines) if _goes_on(a, b, widest)]
    return widest if len(pairs) > 1 and sum(_is_open(a) for a, _ in pairs) > 1 else 0


def _goes_on(line: str, following: str, width: int) -> bool:
    word = following.split(" ", 1)[0]
    return (
        width - 40 < len(line) <= width
        and bool(word)
        and len(line) + 1 + len(word) > width
        and not _begins(following, line)
        and not _COMPLETE.match(line)
    )


def _begins(line: str, before: str) -> bool:
    if _BEGINS.match(line):
        return True
    called = line.startswith("(") and before[-1:].isalnum() and not _SPEAKER.match(line)
    return bool(_MAY_BEGIN.match(line)) and not called and not _is_open(before)


def _is_open(line: str) -> bool:
    """Whether a bracket is open at its end."""
    return any(line.count(a) > line.count(b) for a, b in ("()", "[]", "{}"))


def _glue(last: str, line: str, width: int) -> str | None:
    """What stood between the two parts of a line: nothing or a space; None where these are two lines."""
    if not line.strip() or _begins(line, last) or _COMPLETE.match(last):
        return None
    if len(last) == width:
        return ""
    if len(last) == width - 1 and not line.startswith(" "):
        return " "  # a space at the end of a line is lost on the way
    return " " if _is_open(last) and _goes_on(last, line, width) and not line.startswith(" ") else None
