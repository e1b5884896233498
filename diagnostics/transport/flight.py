"""A flight recorder's file of this machine, as the model has it."""

from __future__ import annotations

import os

import msgspec

from diagnostics.collector.look import plain
from diagnostics.collector.sources import recorder
from diagnostics.model import Flight


def load(path: str | os.PathLike[str], tail: int = recorder.TAIL) -> Flight | None:
    """The recording; None where there is none yet, or it is no recording. `tail`: how many of its events."""
    found = recorder.load(path, tail)
    return msgspec.convert(plain(found), Flight) if found else None
