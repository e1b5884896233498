"""Rung: pystack. Python and native frames of every thread, merged; stops the target while it unwinds."""

from __future__ import annotations

import sys

import msgspec

from diagnostics.collector.stacks.base import Reading, Rung, RungError, run_tool
from diagnostics.model import Thread


def read(pid: int, budget: float) -> Reading:
    output = run_tool([sys.executable, "-m", "diagnostics.collector.stacks.pystack_child", str(pid)], budget)
    try:
        return Reading(msgspec.json.decode(output, type=tuple[Thread, ...]))
    except msgspec.DecodeError:
        raise RungError("answered with something else than threads") from None


RUNG = Rung("pystack", read, native=True, merged=True)
