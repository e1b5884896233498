"""A job that burns CPU and gets nowhere: a wait on a device or a flag spins, so counters alone call it alive."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

from diagnostics.collector import procfs
from diagnostics.model import Process
from diagnostics.transport import Here, Target
from diagnostics.transport.answers import with_stacks
from diagnostics.transport.reach import FRAMES
from diagnostics.watching.quiet import MOVING_CPU

SAMPLES = 4
Stack = tuple[tuple[str, str, int], ...]


def spins(pids: Sequence[int], gap: float) -> bool:
    """Whether these burn CPU while the main threads of all are at the same lines in every sample. Nobody is stopped.

    False where one of them cannot be read: then nothing is known. False where they sleep: that is no spinning.
    """
    first, used = _main_stacks(pids), _cpu_of(pids)
    for _ in range(SAMPLES - 1):
        if not all(first.get(pid) for pid in pids):
            return False
        time.sleep(gap)
        before, used = used, _cpu_of(pids)
        if used - before < MOVING_CPU * gap or _main_stacks(pids) != first:
            return False
    return bool(pids)


def _cpu_of(pids: Sequence[int]) -> float:
    return sum(map(procfs.cpu_of, pids))


def _main_stacks(pids: Sequence[int]) -> dict[int, Stack]:
    host = socket.gethostname()
    processes = [Process("", pid, host) for pid in pids]
    answers = Here(tuple(map(Target, pids))).visit(["stacks"], processes, FRAMES, gently=True)
    return {
        process.pid: tuple((frame.function, frame.file, frame.line) for frame in thread.frames)
        for answer in answers.values()
        for process in (with_stacks(one, answer) for one in processes)
        for thread in process.threads
        if thread.tid == process.pid
    }
