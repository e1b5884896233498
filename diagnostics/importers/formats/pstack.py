"""Stacks without numbers: `pstack` of illumos, DDT's and STAT's tables, `list *0x...` of gdb."""

from __future__ import annotations

import re

from diagnostics.importers.formats.grammar import Grammar, ProcessHead, ThreadHead
from diagnostics.model import Frame
from diagnostics.stacks.demangle import native_frame

_PROCESS = re.compile(r"(\d{2,7}):\s+(\S.{0,500})$")
_THREAD = re.compile(r"-+ +(?:lwp# (\d+) / )?thread# (\d+)")
_PSTACK = re.compile(r"\s*[0-9a-f]{8,16} ([A-Za-z_][\w:.~]*) +\(.*\)(?: \+ [0-9a-f]+)?$")
_LISTED = re.compile(r"0x[0-9a-f]+ is in (\S.*) \(([^()\s]+):(\d+)\)\.$")


def prepare(lines: list[str]) -> list[str]:
    """The head of a process names what stands below it alone."""
    return [
        f"pstack of {head[1]}: {head[2]}" if (head := _PROCESS.match(line)) and _PSTACK.match(following) else line
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
    ]


_HEADED = re.compile(r"pstack of (\d+): (.*)$")


def _process(line: str) -> ProcessHead | None:
    match = _HEADED.match(line)
    return ProcessHead(int(match[1]), match[2]) if match else None


def _thread(line: str) -> ThreadHead | None:
    match = _THREAD.match(line.strip())
    return ThreadHead(int(match[1] or match[2])) if match else None


def _frame(line: str) -> Frame | None:
    if match := _PSTACK.match(line):
        return native_frame(match[1], "")
    match = _LISTED.match(line)
    return native_frame(match[1], match[2], int(match[3])) if match else None


GRAMMAR = Grammar("pstack", _thread, _frame, _process, native=True, prepare=prepare, by_blocks=True)
