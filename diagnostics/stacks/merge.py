"""Python's frames and native frames of one thread, from two tools, as one stack. Pure.

Every call of the interpreter's loop (`_PyEval_EvalFrameDefault`) runs one Python frame up to CPython 3.10, and one or
more from 3.11 on. So where the numbers agree, or nothing foreign lies between the calls, the order is certain;
where neither holds it is not known, and the Python frames come first.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import msgspec

from diagnostics.model import Frame, Role, Thread
from diagnostics.stacks.symbols import meanings

_EVAL = re.compile(r"^(_PyEval_EvalFrameDefault|PyEval_EvalFrameEx)(\.|$)")
_INTERPRETER = re.compile(r"^(libpython|python)[\d.]*")


def is_eval(frame: Frame) -> bool:
    return frame.native and bool(_EVAL.match(frame.function))


def is_interpreter(frame: Frame) -> bool:
    """Whether a native frame is the interpreter's own code, which says little where Python's frames are known."""
    return frame.native and bool(_INTERPRETER.match(os.path.basename(frame.file)))


def _is_kept(frame: Frame) -> bool:
    """Whether a native frame between Python's says more than that one function called another."""
    return not is_interpreter(frame) or any(Role.SIGNAL_HANDLER in meaning.roles for meaning in meanings(frame))


def merge(python: Sequence[Frame], native: Sequence[Frame]) -> tuple[Frame, ...]:
    """Outermost first, as both arguments are."""
    python = tuple(python)
    evals = [index for index, frame in enumerate(native) if is_eval(frame)]
    if not python or not evals:
        return python + tuple(native)
    inner = tuple(native[evals[-1] + 1 :])
    foreign = [frame for frame in native[evals[0] : evals[-1]] if _is_kept(frame)]
    outer = tuple(frame for frame in native[: evals[0]] if not is_interpreter(frame))
    if not foreign:
        return outer + python + inner
    if len(evals) != len(python):
        return python + outer + tuple(foreign) + inner
    merged: list[Frame] = list(outer)
    for frame, begin, end in zip(python, evals, [*evals[1:], evals[-1] + 1], strict=True):
        merged.append(frame)
        merged += [between for between in native[begin + 1 : end] if _is_kept(between)]
    return tuple(merged) + inner


def merge_threads(python: Sequence[Thread], native: Sequence[Thread]) -> tuple[Thread, ...]:
    """Every thread that either tool saw."""
    by_tid = {thread.tid: thread for thread in python}
    joined = [
        msgspec.structs.replace(
            thread, frames=merge(spoken.frames, thread.frames), name=spoken.name, holds_gil=spoken.holds_gil
        )
        if (spoken := by_tid.pop(thread.tid, None))
        else thread
        for thread in native
    ]
    return tuple(sorted([*joined, *by_tid.values()], key=lambda thread: thread.tid))
