"""Logs whose lines are records of a collector: a JSON object a line, or one with line ends written as `\\n`. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_TEXTS = ("message", "msg", "log", "textPayload", "text", "line", "body", "MESSAGE")
_RANKS = ("global_rank", "rank", "RANK")
_QUOTED = re.compile(r'(?<![\w\\])(?:msg|message|log)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {r"\n": "\n", r"\t": "\t", r"\"": '"', r"\\": "\\", r"\r": ""}
_ESCAPE = re.compile(r'\\[nrt"\\]')
_FEWEST = 2
"""Escaped line ends of a message that is a stack, and not one with a path of Windows in it."""
LONGEST = 1 << 20


def unpacked(lines: list[str]) -> list[str]:
    """The messages of the records, each with as many lines as it had; other lines as they are."""
    return [text for line in lines for text in _texts(line)]


def _texts(line: str) -> Iterator[str]:
    stripped = line.strip()
    if stripped[:1] == "{" and stripped[-1:] == "}" and len(stripped) < LONGEST and (told := _of_json(stripped)):
        yield from told
    elif (quoted := _QUOTED.search(line)) and quoted[1].count("\\n") >= _FEWEST:
        yield from _plain(quoted[1]).split("\n")
    else:
        yield line


def _plain(text: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPES[match[0]], text)


def _of_json(line: str) -> list[str]:
    """The message of a record; [] where it is none."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return []
    text = next((record[key] for key in _TEXTS if isinstance(record.get(key), str)), "")
    rank = next((record[key] for key in _RANKS if str(record.get(key, "")).isdecimal()), None)
    said = text.rstrip("\n").split("\n") if text.strip() else []
    return [f"[rank{int(rank)}]: {part}" for part in said] if rank is not None else said
