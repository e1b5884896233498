"""A sleep whose end is known, in words. Pure."""

from __future__ import annotations

import math

from diagnostics.model import Process, WaitKind
from diagnostics.stacks.position import main_position


def sleep_words(process: Process) -> str:
    """`the sleep of pid:7, which ends within 40 s,`; "" for one that does not sleep, or whose end is not known."""
    main = main_position(process)
    call = next((one for one in process.blocking_calls if main and one.tid == main.tid), None)
    if main is None or main.waits is not WaitKind.TIME or call is None or call.kind != "time":
        return ""
    ends = math.ceil(call.ends_in) if 0 < call.ends_in < math.inf else 0
    return f"the sleep of {process.rank}, which ends within {ends} s," if ends else ""
