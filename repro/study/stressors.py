"""What raises the rate of a hang without being its cause. Each stressor records what it really did.

| name | does |
|---|---|
| `burn:N` | N processes that do nothing but use the trial's cores |
| `cores:N` | all ranks share N of the trial's cores |
| `freeze:ON/EVERY` | stops all servers but the first for ON of every EVERY milliseconds (SIGSTOP, SIGCONT) |

More receives are a setting (`variables`), and no stressor. Stressors end before a rank is judged, so that a frozen or
starved rank is never called hung.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import psutil

from diagnostics.analyze.progress import is_server
from diagnostics.errors import UsageError
from repro.cluster import Member
from repro.cluster.supervisor import die_with_parent

Record = dict[str, float]


class Stressor(Protocol):
    """Runs alongside a trial (see `repro.trial.run`). `record` is complete when it has ended."""

    record: Record

    def __call__(self, members: Sequence[Member]) -> Stressor: ...

    def __enter__(self) -> Stressor: ...

    def __exit__(self, *_: object) -> None: ...


class Burn:
    """Busy processes on the cores that this process may use. Records their number and the CPU they got."""

    def __init__(self, processes: int) -> None:
        self._count = processes
        self.record: Record = {}

    def __call__(self, members: Sequence[Member]) -> Burn:
        return self

    def __enter__(self) -> Burn:
        self._began = time.monotonic()
        self._burning = [
            subprocess.Popen([sys.executable, "-I", "-c", "while True: pass"], preexec_fn=die_with_parent)
            for _ in range(self._count)
        ]
        return self

    def __exit__(self, *_: object) -> None:
        used = 0.0
        for process in self._burning:
            with suppress(psutil.NoSuchProcess):
                times = psutil.Process(process.pid).cpu_times()
                used += times.user + times.system
            process.kill()
            process.wait()
        self.record = {
            "processes": float(self._count), "cpu_seconds": round(used, 2),
            "seconds": round(time.monotonic() - self._began, 2),
        }  # fmt: skip


class Cores:
    """All threads of all ranks on the first N of the cores that they had. Records how many they really have."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.record: Record = {}

    def __call__(self, members: Sequence[Member]) -> Cores:
        self._pids = [member.pid for member in members]
        return self

    def __enter__(self) -> Cores:
        self._had = sorted(set().union(*self._allowed()))
        self._allow(self._had[: self._count])
        self.record = {
            "cores": float(max(map(len, self._allowed()), default=0)), "cores_before": float(len(self._had)),
        }  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._allow(self._had)

    def _allow(self, cores: Sequence[int]) -> None:
        if not cores:  # every rank has ended
            return
        for thread in self._threads():
            with suppress(ProcessLookupError):
                os.sched_setaffinity(thread, cores)

    def _allowed(self) -> Iterator[set[int]]:
        """What each thread may run on. Threads end at any time, and so do ranks."""
        for thread in self._threads():
            with suppress(ProcessLookupError):
                yield os.sched_getaffinity(thread)

    def _threads(self) -> list[int]:
        return [int(path.name) for pid in self._pids for path in Path(f"/proc/{pid}/task").glob("*")]


class Freeze:
    """Stops and continues servers again and again. Records how often, how long, and how often state T was seen."""

    def __init__(self, on_ms: float, every_ms: float) -> None:
        self._on, self._off = on_ms / 1e3, (every_ms - on_ms) / 1e3
        self.record: Record = {}

    def __call__(self, members: Sequence[Member]) -> Freeze:
        self._pids = [member.pid for member in members if is_server(member.rank)][1:]
        return self

    def __enter__(self) -> Freeze:
        self._ended = threading.Event()
        self._freezes, self._frozen, self._seen = 0, 0.0, 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.record = {
            "servers": float(len(self._pids)), "freezes": float(self._freezes), "seen_stopped": float(self._seen),
            "mean_ms": round(1e3 * self._frozen / max(1, self._freezes), 2),
        }  # fmt: skip

    def _run(self) -> None:
        while self._pids and not self._ended.wait(self._off):
            began = time.monotonic()
            self._signal(signal.SIGSTOP)
            try:
                time.sleep(self._on)
                self._seen += all(map(_is_stopped, self._pids))
            finally:
                self._signal(signal.SIGCONT)
            self._freezes += 1
            self._frozen += time.monotonic() - began

    def _signal(self, number: int) -> None:
        for pid in self._pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def _is_stopped(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
    return False


def parse(name: str) -> Stressor:
    """The stressor that a name such as `burn:4` stands for. Raises: UsageError: there is none."""
    if match := re.fullmatch(r"burn:([1-9]\d{0,2})", name):
        return Burn(int(match[1]))
    if match := re.fullmatch(r"cores:([1-9]\d{0,2})", name):
        return Cores(int(match[1]))
    if (match := re.fullmatch(r"freeze:(\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)", name)) and float(match[1]) < float(match[2]):
        return Freeze(float(match[1]), float(match[2]))
    raise UsageError(f"no stressor {name!r}", "There are burn:N, cores:N and freeze:ON/EVERY (milliseconds)")
