"""The kernel's own stack of threads that nobody may stop: in state D, or waiting for a file system in user space.

From /proc/PID/task/TID/stack (man 5 proc), which root alone may read. Nobody is stopped.
"""

import re
from typing import Any, List

from diagnostics.collector import procfs
from diagnostics.collector.kernel import text_of
from diagnostics.collector.stacks.base import CollectorError, Reading, StackCollector

FILE = "[kernel]"
"""What stands for the file of a frame."""

_FRAME = re.compile(r"^\[<[0-9a-f]+>\] ([\w.]+)\+0x", re.M)


def read(pid: int, budget: float) -> Reading:
    threads: List[Any] = []
    for tid in sorted(tid for tid, _ in procfs.blocked_threads(pid)):
        functions = _FRAME.findall(text_of("/proc/%d/task/%d/stack" % (pid, tid)))
        if functions:
            threads.append([tid, "", False, [[function, FILE, 0, True] for function in reversed(functions)]])
    if not threads:
        raise CollectorError("the kernel's stacks may be read by root alone")
    return Reading(threads=threads, pause=0.0, stopped=0)


COLLECTOR = StackCollector("kernel", 5, read, blocked=True, gentle=read)
