"""Who asks for the next batch, and who is to bring it, read off their stacks. Pure."""

from __future__ import annotations

import os

from diagnostics.analyze.facts import stack_mentions
from diagnostics.analyze.thread_waits import short
from diagnostics.model import Frame, Thread

_ASKS = frozenset({("iterator_ops.py", "__next__"), ("iterator_ops.py", "get_next")})
_ASKS_NATIVE = ("IteratorGetNext",)
_CALLED_BACK = ("script_ops.py", "__call__")
_DATASETS = ("DatasetIterator", "DatasetOp::Dataset", "DatasetBaseIterator")


def _place(frame: Frame) -> tuple[str, str]:
    return os.path.basename(frame.file), short(frame)


def asks_for_input(thread: Thread) -> bool:
    """Whether it waits for the next batch of a TensorFlow Dataset."""
    python = [frame for frame in thread.frames if not frame.native]
    return any(_place(frame) in _ASKS for frame in python) or bool(stack_mentions(thread, _ASKS_NATIVE))


def called_back(thread: Thread) -> bool:
    """Whether TensorFlow called Python code in it: a generator, a py_function."""
    return any(not frame.native and _place(frame) == _CALLED_BACK for frame in thread.frames)


def brings_input(thread: Thread) -> bool:
    """Whether it makes the next batch: a Dataset's own thread, or Python code that a Dataset called."""
    return called_back(thread) or bool(stack_mentions(thread, _DATASETS))
