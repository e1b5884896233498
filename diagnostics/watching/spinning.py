"""A job that burns CPU and gets nowhere: a wait on a device or a flag spins, so counters alone call it alive."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

from diagnostics.model import Process
from diagnostics.transport import Here, Options, Target
from diagnostics.transport.answers import with_stacks

SAMPLES = 4
_GENTLE = Options(gap=0.0, samples=1, collectors=("py-spy",), budget=5.0)
Stack = tuple[tuple[str, str, int], ...]


def stands_still(pids: Sequence[int], gap: float) -> bool:
    """Whether the main threads of all of these are at the same lines in every sample. Nobody is stopped for it.

    False where one of them cannot be read: then nothing is known.
    """
    first: dict[int, Stack] | None = None
    for number in range(SAMPLES):
        if number:
            time.sleep(gap)
        found = _main_stacks(pids)
        if not all(found.get(pid) for pid in pids) or (first is not None and found != first):
            return False
        first = found
    return bool(pids)


def _main_stacks(pids: Sequence[int]) -> dict[int, Stack]:
    host = socket.gethostname()
    processes = [Process("", pid, host) for pid in pids]
    answers = Here(tuple(map(Target, pids))).visit(["stacks"], processes, _GENTLE, gently=True)
    return {
        process.pid: tuple((frame.function, frame.file, frame.line) for frame in thread.frames)
        for answer in answers.values()
        for process in (with_stacks(one, answer) for one in processes)
        for thread in process.threads
        if thread.tid == process.pid
    }
