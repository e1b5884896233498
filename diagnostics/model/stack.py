"""Stacks, as every collector and every dump gives them."""

from __future__ import annotations

from diagnostics.model.record import Record


class Frame(Record, frozen=True, gc=False):
    """One frame of a stack.

    `function` is demangled, without its arguments. `file` is the Python source, or the shared library of a
    native frame. `line` is 0 where it is not known.
    """

    function: str
    file: str = ""
    line: int = 0
    native: bool = False


class Thread(Record, frozen=True):
    """One thread with its stack, outermost frame first. `frames` is empty where no collector could read it."""

    tid: int
    name: str = ""
    frames: tuple[Frame, ...] = ()
    holds_gil: bool = False
