"""What a tool is given of a stuck program, and the one form in which every tool answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line of JSON. A tool fills what it can tell; the bench fills `program`, `tool`, `seconds` and `pause_s`.

    `hung`: null where the tool cannot tell. `family`: a word of `docs/causes`, "" where it names none. `culprit`: who
    holds the others up, the surest first: process ids as numbers, ranks without a process as text. `function`: where
    the first of them stands in the user's code. `pause_s`: longest time for which a process was stopped. `abstained`:
    the tool cannot read this program at all, or names neither culprit nor family; `why` in words.
    """

    program: str = ""
    tool: str = ""
    hung: bool | None = None
    family: str = ""
    culprit: tuple[int | str, ...] = ()
    function: str = ""
    seconds: float = 0.0
    pause_s: float = -1.0
    abstained: bool = False
    why: str = ""


class Job(NamedTuple):
    """A program that runs. `pids`: those that a user would name. `everyone`: these and all below them, each with its
    parent. `folder`: where the tool may write, and where prepared processes do."""

    pids: tuple[int, ...]
    everyone: Mapping[int, int]
    folder: Path
    torch: str = ""  # its interpreter, where the program runs on PyTorch


class Dumps(NamedTuple):
    """Files that others collected when their job hung."""

    files: tuple[Path, ...]


class Tool(NamedTuple):
    """`live` looks at a job, `offline` at files; None: it cannot. `prepared`: the job must have been started for it."""

    name: str
    live: Callable[[Job], Answer] | None
    offline: Callable[[Dumps], Answer] | None = None
    prepared: bool = False


def nothing(why: str) -> Answer:
    """It cannot say anything, and why."""
    return Answer(abstained=True, why=why)
