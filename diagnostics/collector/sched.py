"""When a thread last ran: `se.exec_start` of /proc/PID/task/TID/sched (kernel/sched/debug.c).

That is the task clock of the core that it ran on, in milliseconds. The clock runs with CLOCK_MONOTONIC, less the time
that the core spent in interrupts or that its host gave to others, so every core has one of its own. What it says now
is found out by running there: our own `exec_start` is brought up to date when we yield. CPython 3.6, standard library.
"""

import os
import re
import threading
import time
from contextlib import suppress
from typing import Dict, Optional

from diagnostics.collector.kernel import text_of

_FIELD = re.compile(
    r"^(se\.exec_start|se\.sum_exec_runtime|nr_voluntary_switches|nr_involuntary_switches) *: *([\d.]+)", re.M
)
MOST_CORES = 64
"""Cores visited at most; of the others the clock of the core that we are on is taken."""


def fields(home: str) -> Dict[str, float]:
    """What the scheduler tells of a thread (`/proc/PID/task/TID/`), {} where it tells nothing. Times in ms."""
    return {name: float(value) for name, value in _FIELD.findall(text_of(home + "sched"))}


class TaskClocks(object):
    """How far the task clock of each core is behind CLOCK_MONOTONIC, in seconds. Asked once for each core."""

    def __init__(self) -> None:
        self._lags: Dict[int, Optional[float]] = {}

    def last_ran(self, exec_start: float, core: int, now: float) -> float:
        """Seconds between a thread's `exec_start`, taken on that core, and `now` (monotonic); -1 for not known."""
        if exec_start <= 0:
            return -1.0  # never ran, or was just moved to another core
        if core not in self._lags:
            self._lags[core] = self._measured(core)
        lag = self._lags[core]
        return max(0.0, now - lag - exec_start / 1000) if lag is not None else -1.0

    def _measured(self, core: int) -> Optional[float]:
        lags = []

        def visit() -> None:
            # A thread of its own, so that nobody else of this program has to move.
            if len(self._lags) < MOST_CORES:
                with suppress(OSError):  # it may be none of ours: cores differ by little, but on overcommitted machines
                    os.sched_setaffinity(0, {core})
            os.sched_yield()
            own = fields("/proc/thread-self/").get("se.exec_start", 0.0)
            if own:
                lags.append(time.monotonic() - own / 1000)

        visitor = threading.Thread(target=visit, daemon=True)
        visitor.start()
        visitor.join(1.0)  # a core that is kept busy by the highest priority lets nobody in
        return lags[0] if lags else None
