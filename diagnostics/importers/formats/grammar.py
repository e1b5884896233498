"""How a tool writes a process, a thread and a frame. One line in, a value or None out."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from diagnostics.model import Frame


class ThreadHead(NamedTuple):
    """`tid` 0: the tool gives none. `pthread`: the address by which libpthread knows it, 0 where not told.

    `current`: the tool shows whatever thread it is at, so that this view belongs to the thread seen last.
    """

    tid: int = 0
    name: str = ""
    pthread: int = 0
    holds_gil: bool = False
    main: bool = False
    current: bool = False


class ProcessHead(NamedTuple):
    pid: int
    command: str = ""


def _none(line: str) -> None:
    return None


def _nothing(line: str) -> str:
    return ""


def _never(line: str) -> bool:
    return False


def _same(lines: list[str]) -> list[str]:
    return lines


class Grammar(NamedTuple):
    """`innermost_first`: the order in which frames are written. `native`: it shows no Python frames.

    `headless`: its frames are told from anything else also without a thread's head before them. `prepare`: makes of
    what spans several lines one line each. `mutex`: the address of the one that the thread of a frame's line waits
    for, "" where it is not told. `more`: whether a line tells that the process has several threads. `by_blocks`: its
    frames have no numbers, so that what stands between two of them ends a stack. `rank`: the smaller, the earlier a
    line is tried with it.
    """

    tool: str
    thread: Callable[[str], ThreadHead | None]
    frame: Callable[[str], Frame | None]
    process: Callable[[str], ProcessHead | None] = _none
    innermost_first: bool = True
    native: bool = False
    headless: bool = True
    prepare: Callable[[list[str]], list[str]] = _same
    mutex: Callable[[str], str] = _nothing
    more: Callable[[str], bool] = _never
    by_blocks: bool = False
    rank: int = 5
