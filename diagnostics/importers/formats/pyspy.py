"""`py-spy dump`, also with --native and --locals, of any release; columns that people padded by hand."""

from __future__ import annotations

import re

from diagnostics.importers.formats.grammar import Grammar, ProcessHead, ThreadHead
from diagnostics.model import Frame
from diagnostics.stacks.demangle import native_frame

_PROCESS = re.compile(r"\s*Process (\d+): (.*)$")
_THREAD = re.compile(
    r'\s*Thread (0x[0-9A-Fa-f]+|\d+|<?\w*>?)(?:/(0x[0-9A-Fa-f]+))? \((idle|active)?(\+?gil)?\)(?:: "(.*?)"?)?$'
)
_ADDRESS = re.compile(r"0x[0-9A-Fa-f]+")
_PYTHON = re.compile(r"\s*(\S.*?) +\(((?:[^()]|\(\w*\))*\.pyx?|<[^()]*>):(\d+|[X?N]+)\)$")
_NATIVE = re.compile(
    r"\s+(\S.*?) +\(([\w./+-]*(?:\.so[\w.]*|\.\w{1,4}|[a-z][\w.+-]*|\[\w+\]))(?::(\d+))?\)(?: \[.*\])?$"
)


def _process(line: str) -> ProcessHead | None:
    match = _PROCESS.match(line)
    return ProcessHead(int(match[1]), match[2]) if match else None


def _thread(line: str) -> ThreadHead | None:
    match = _THREAD.match(line)
    if match is None or not (match[3] or match[4] or match[5]):
        return None
    name = match[5] or ""
    number = match[1]
    tid = int(number) if number.isdecimal() else 0
    address = number if _ADDRESS.fullmatch(number) else match[2] or "0"
    return ThreadHead(tid, name, int(address, 16), bool(match[4]), main=name == "MainThread")


def _frame(line: str) -> Frame | None:
    if python := _PYTHON.match(line):
        return Frame(python[1], python[2], int(python[3]) if python[3].isdecimal() else 0)
    if native := _NATIVE.match(line):
        return native_frame("???" if native[1].startswith("0x") else native[1], native[2], int(native[3] or 0))
    return None


_FEWEST = 3


def prepare(lines: list[str]) -> list[str]:
    """With a head where the paste begins in the middle of a thread, before others."""
    first = next((index for index, line in enumerate(lines) if line.strip()), 0)
    begins = lines[first : first + _FEWEST]
    if len(begins) == _FEWEST and all(map(_frame, begins)) and any(map(_thread, lines)):
        return [*lines[:first], 'Thread 0 (idle): "head cut off"', *lines[first:]]
    return lines


GRAMMAR = Grammar("py-spy", _thread, _frame, _process, headless=False, prepare=prepare)
