"""py-spy: Python frames of every Python thread. Stops the target only if it does not stand still by itself."""

import json
import os
import sys
import time
from typing import Any, Dict, List, Tuple

from diagnostics.collector import namespaces, procfs
from diagnostics.collector.stacks.base import CollectorError, Reading, StackCollector, run_tool
from diagnostics.collector.stacks.pthreads import tid_of

LONGEST_STOP = 2.0
"""Seconds that a target may stand for Python's frames: on a busy machine py-spy may lose its turn while it does."""

place: List[str] = []
"""Where it is, where that was said."""


def tool() -> str:
    if place:
        return place[0]
    beside = os.path.join(os.path.dirname(sys.executable or ""), "py-spy")
    return beside if os.path.exists(beside) else "py-spy"


def read(pid: int, budget: float) -> Reading:
    """Without stopping it, where it stood still meanwhile, or two readings agree. Else while it is stopped."""
    deadline = time.monotonic() + budget
    first = None
    try:
        before = _runs(pid)
        first = read_without_stopping(pid, budget)
        if _stood(_told(first.text), before, _runs(pid)):
            return first
        if first.text == read_without_stopping(pid, deadline - time.monotonic()).text:
            return first
    except CollectorError:
        pass  # a running process may look torn
    try:
        return Reading(ask(pid, min(max(deadline - time.monotonic(), 0.1), LONGEST_STOP)))
    except CollectorError:
        if first is None:
            raise
        return Reading(first.text)  # rather a sample that may be torn than a job that stands; it may have stood by now


def _runs(pid: int) -> Dict[int, Tuple[str, int]]:
    """Of each thread what is the same as long as it does not run, unless it runs all the time."""
    return {tid: (state, switches) for tid, state, switches in procfs.switches_of(pid)}


def _told(text: str) -> List[int]:
    return [thread["os_thread_id"] for thread in json.loads(text)]


def _stood(tids: List[int], before: Dict[int, Tuple[str, int]], after: Dict[int, Tuple[str, int]]) -> bool:
    """Whether none of these ran. Threads without a frame of Python may: they change none."""
    return bool(tids) and all(tid in before and before[tid] == after.get(tid) and before[tid][0] != "R" for tid in tids)


def read_without_stopping(pid: int, budget: float) -> Reading:
    """The process's memory as it is at the moment; true only of what stands still."""
    return Reading(ask(pid, budget, "--nonblocking"), pause=0.0, stopped=0)


def ask(pid: int, budget: float, *options: str) -> str:
    """What it says as JSON, threads by the ids that this machine has for them.

    Raises:
        CollectorError: it cannot read the process.
    """
    argv = [tool(), "dump", "--json", "--pid", str(pid)] + list(options)
    in_memory = argv[0].startswith("/proc/self/fd/")
    keep = [int(argv[0].rpartition("/")[2])] if in_memory else []
    said = run_tool(argv, budget, keep=keep)
    try:
        threads = json.loads(said.decode("utf-8", "replace"))
        outer = namespaces.inner_ids(pid)  # the interpreter knows its threads by the container's numbers
        for thread in threads:
            thread["os_thread_id"] = _outer_id(pid, thread, outer)
    except OSError:
        raise CollectorError("ended while it was looked at") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise CollectorError("answered with something else than threads") from None
    return json.dumps(threads)


def _outer_id(pid: int, thread: Dict[str, Any], outer: Dict[int, int]) -> int:
    tid = int(thread.get("os_thread_id") or thread["thread_id"])
    tasks = set(outer.values())
    inner = tid if tid in outer or tid in tasks else tid_of(pid, tid, outer)
    return inner if inner in tasks else outer.get(inner, inner)


COLLECTOR = StackCollector("py-spy", 10, read, gentle=read_without_stopping)
