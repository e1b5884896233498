"""The cluster's tasks as servers of TensorFlow have them in memory. Only where asked for: whole processes are looked
through, for half a second each."""

import time
from typing import Any, Dict

from diagnostics.collector.look import Fields, Look, plain
from diagnostics.collector.memory import tensorflow1_cluster
from diagnostics.collector.memory.process import Memory, Unreadable


def asked(look: Look, wanted: Dict[str, Any], until: float) -> Fields:
    """`wanted`: `asking`, processes that wait for others: each is looked at. Of the rest one that tells is enough."""
    asking = [pid for pid in wanted.get("asking", ()) if pid in look.targets]
    found: Fields = {}
    for pid in asking + [pid for pid in look.pids if pid not in asking]:
        if time.monotonic() < until and (pid in asking or not found):
            tasks = _tasks_of(pid)
            if tasks:
                found[pid] = {"tasks": plain(tasks)}
    return found


def _tasks_of(pid: int) -> Any:
    try:
        with Memory(pid) as memory:
            return tensorflow1_cluster.tasks_of(memory)
    except (Unreadable, OSError):
        return ()
