"""asyncio's tasks: `Task.print_stack`, `repr(task)`, and the tables of `python -m asyncio ps` (3.14)."""

from __future__ import annotations

import re
import zlib

from diagnostics.importers.formats.grammar import Grammar, ThreadHead
from diagnostics.model import Frame

_STACK = re.compile(r"\s*Stack for <Task (?:pending|cancelling) name='(.*?)'.*\(most recent call last\):$")
_REPR = re.compile(r"<Task pending name='(.*?)' coro=<(.*?)\(\) running at (.*?):(\d+)>(.*)")
_ROW = re.compile(r"(\d+)\s+0x[0-9a-f]+\s+(\S+)\s+(\S.*?)\s{2,}(.*?)\s{2,}(\S+)\s+0x[0-9a-f]+$")
_FRAME = re.compile(r'\s*File "(.*?)", line (\d+), in (.+)$')


def prepare(lines: list[str]) -> list[str]:
    """A table's row, or a task's `repr`, as the lines of a stack."""
    made: list[str] = []
    for line in lines:
        if task := _REPR.search(line):
            made += [_head(task[1]), f'  File "{task[3]}", line {task[4]}, in {task[2]}']
        elif row := _ROW.match(line):
            calls = [call.strip() for call in row[3].split("->")]
            made += [_head(row[2]), *(f'  File "", line 0, in {call}' for call in reversed(calls) if call)]
        else:
            made.append(line)
    return made


def _head(name: str) -> str:
    return f"Stack for <Task pending name='{name}'> (most recent call last):"


def _thread(line: str) -> ThreadHead | None:
    match = _STACK.match(line)
    return ThreadHead(tid=1 << 32 | zlib.crc32(match[1].encode()), name=f"task {match[1]}") if match else None


def _frame(line: str) -> Frame | None:
    match = _FRAME.match(line)
    return Frame(match[3], match[1], int(match[2])) if match else None


GRAMMAR = Grammar("asyncio", _thread, _frame, innermost_first=False, headless=False, prepare=prepare, rank=7)
