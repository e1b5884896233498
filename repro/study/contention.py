"""How much a trial had to share its cores, from the kernel's own accounting (/proc/PID/task/TID/schedstat).

The contention factor is (time on a core + time runnable but waiting for one) / time on a core, over all threads of
all ranks: 1 when nobody ever waited, 2 when half of the time was spent waiting.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from repro.cluster import Member


def on_core_and_waiting(pids: Sequence[int]) -> tuple[float, float]:
    """Seconds on a core and seconds waiting for one, summed over all threads that are there."""
    on_core = waiting = 0
    for pid in pids:
        for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                ran, waited, _ = path.read_text().split()
            except (OSError, ValueError):  # the thread has ended meanwhile, or the kernel keeps no account
                continue
            on_core += int(ran)
            waiting += int(waited)
    return on_core / 1e9, waiting / 1e9


def _machine_busy() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)  # user includes guests


class Meter:
    """Runs alongside a trial (see `repro.trial.run`): measures from ready to the end."""

    contention = -1.0
    others = -1.0

    def __call__(self, members: Sequence[Member]) -> Meter:
        self._pids = [member.pid for member in members]
        return self

    def __enter__(self) -> Meter:
        self._began = time.monotonic(), *on_core_and_waiting(self._pids), _machine_busy()
        return self

    def __exit__(self, *_: object) -> None:
        began, on_core, waiting, busy = self._began
        seconds = time.monotonic() - began
        now_on_core, now_waiting = on_core_and_waiting(self._pids)
        used, waited = now_on_core - on_core, now_waiting - waiting
        if used > 0 and seconds > 0:
            self.contention = round((used + waited) / used, 3)
            self.others = round(max(0.0, _machine_busy() - busy - used) / seconds, 3)
