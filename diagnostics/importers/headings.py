"""Headings that people and scripts put above each process's stacks: `rank 3:`, `== pid 123 ==`, a row of `ps`. Pure.

A line counts as one only where nothing else stands in it and a stack begins below: a log that only speaks of a rank is
none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

LONGEST = 400
_MARKS = r"[\s#=*>~\-+.\[\](){}|:]*"
_OF_WHAT = r"(?:(?:[\w-]{1,12} )?(?:stacks?|(?:back|stack)?traces?|dumps?|bt)\W+(?:of|for|from)?\W*)?"
_SAID = re.compile(
    rf"{_MARKS}{_OF_WHAT}(?:process )?(?:(?:global|local|mpi|tp|dp|pp|ep)[ _-])?"
    rf"(?P<kind>rank|worker|process|proc|pid)[ _:=#-]{{0,3}}(?P<number>\d{{1,7}})"
    rf"(?:\W{{1,3}}(?:pid|process)[ :=#]{{0,3}}(?P<pid>\d+))?{_MARKS}$",
    re.I,
)
_TIMED_OUT = re.compile(r"Process (\d+) timed out with traceback:\s*$")  # PyTorch's tests, whose processes are ranks
_VALUES = re.compile(r"(?:\w+ ?= ?[\w.-]+[,; ]+)*\bpid ?= ?(?P<pid>\d+)(?:[,; ]+\w+ ?= ?[\w.-]+)*:?$", re.I)
_PS = re.compile(
    r".{0,80}?\s(\d{1,7})\s+\d+\.\d\s+\d+\.\d\s+\d+\s+\d+\s+\S+\s+[A-Za-z][<NLsl+]*\s+\S+\s+[\d:]+\s+(\S.*)$"
)
_RANKS = ("rank", "worker")
_HEADING = re.compile(r"heading of (?:rank (\d+))?(?: ?pid (\d+))?(?: command (.*))?$")


class Heading(NamedTuple):
    """`rank` is -1, `pid` 0 where it is not told."""

    rank: int = -1
    pid: int = 0
    command: str = ""


def marked(lines: Sequence[str], begins_stack: Callable[[str], bool]) -> list[str]:
    """The lines with each heading in one form, which `heading_of` reads."""
    made = list(lines)
    for index, line in enumerate(lines):
        if len(line) > LONGEST or not line.strip():
            continue
        found = _found(line, lines)
        if found and begins_stack(next((below for below in lines[index + 1 : index + 4] if below.strip()), "")):
            rank = f"rank {found.rank}" if found.rank >= 0 else ""
            pid = f" pid {found.pid}" if found.pid else ""
            command = f" command {found.command}" if found.command else ""
            made[index] = f"heading of {rank}{pid}{command}"
    return made


def heading_of(line: str) -> Heading | None:
    match = _HEADING.match(line)
    return Heading(int(match[1] or -1), int(match[2] or 0), match[3] or "") if match else None


def _found(line: str, lines: Sequence[str]) -> Heading | None:
    if row := _PS.match(line):
        return Heading(pid=int(row[1]), command=row[2])
    if timed_out := _TIMED_OUT.match(line):
        return Heading(int(timed_out[1]))
    if said := _SAID.match(line):
        number, pid = int(said["number"]), int(said["pid"] or 0)
        if said["kind"].lower() in _RANKS or (said["kind"].lower() != "pid" and _count_from_0(lines)):
            return Heading(number, pid)
        return Heading(pid=number)
    values = _VALUES.match(line.strip())
    return Heading(pid=int(values["pid"])) if values else None


def _count_from_0(lines: Sequence[str]) -> bool:
    """Whether there is a process 0 among those that stand above stacks: no process has this id."""
    return any((said := _SAID.match(line)) and int(said["number"]) == 0 for line in lines if len(line) <= LONGEST)
