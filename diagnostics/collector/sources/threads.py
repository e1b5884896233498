"""Every thread's counters, from /proc/PID/task."""

import time

from diagnostics.collector import procfs
from diagnostics.collector.look import Fields, Look, plain


def sample(look: Look) -> Fields:
    return {
        pid: {"at": time.monotonic(), "threads": plain(procfs.sample_threads(pid, look.clocks))} for pid in look.pids
    }
