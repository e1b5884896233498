"""pystack: Python and native frames of every thread, merged; stops the target while it unwinds.

It is called in a process of its own, because reading a stopped target can take long or never come back, and then it
has to be ended without harm to the rest. The kernel resumes the target when its tracer ends.
"""

import importlib.util
import json
import os
from typing import Any, Dict, Iterable, List, Tuple

from diagnostics.collector import forked, namespaces
from diagnostics.collector.stacks.base import CollectorError, Reading, StackCollector, explain

_Frame = Tuple[str, str, int, bool]
"""Function, file, line, whether it is native."""


def read(pid: int, budget: float) -> Reading:
    if importlib.util.find_spec("pystack") is None:
        raise CollectorError("pystack is not installed (pip install pystack)")
    try:
        return Reading(threads=json.loads(forked.call(lambda: _threads(pid), budget).decode()))
    except forked.Failed as error:
        raise CollectorError(explain(str(error))) from None


def _threads(pid: int) -> bytes:
    from pystack.engine import NativeReportingMode, get_process_threads

    inside, numbers = _enter_container(pid)
    threads = get_process_threads(inside, stop_process=True, native_mode=NativeReportingMode.ALL)
    found = [
        [numbers.get(one.tid, one.tid), one.name or "", one.holds_the_gil > 0, list(merged(one))] for one in threads
    ]
    return json.dumps(found).encode()


def _enter_container(pid: int) -> Tuple[int, Dict[int, int]]:
    """Go where the process's files and numbers are, so that its libraries are found; for a process of this place
    nothing happens.

    Returns the process's number as seen from there, and this place's number for each of its threads' numbers there.
    """
    if not namespaces.is_elsewhere(pid, "mnt"):
        return pid, {}
    numbers = namespaces.inner_ids(pid)
    inner = next(there for there, here in numbers.items() if here == pid)
    # Only children live among the other numbers. Everything is imported by now: our files are out of sight there.
    namespaces.enter(pid, "pid", "mnt")
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os._exit(0)
    namespaces.die_with_parent()  # when this is given up, nobody must be left who holds the target
    return inner, numbers


def merged(thread: Any) -> Iterable[_Frame]:
    """Outermost first. Each call of the interpreter's loop is replaced by the Python frames that it runs."""
    from pystack import types

    kinds = [types.frame_type(frame, thread.python_version) for frame in thread.native_frames]
    calls = _python_calls(thread)
    if kinds.count(types.NativeFrame.FrameType.EVAL) != len(calls):
        # The native unwinder lost its way: both parts are true, their order among each other is not known.
        for call in calls:
            yield from call
        calls = []
    remaining = iter(calls)
    for frame, kind in zip(thread.native_frames, kinds):
        if kind is types.NativeFrame.FrameType.EVAL:
            yield from next(remaining, [])
        elif kind is types.NativeFrame.FrameType.OTHER:
            yield (frame.symbol, frame.library, frame.linenumber, True)


def _python_calls(thread: Any) -> List[List[_Frame]]:
    """Python frames grouped by the C call of the interpreter's loop that runs them."""
    calls: List[List[_Frame]] = []
    for frame in thread.all_frames:
        if frame.is_entry or not calls:
            calls.append([])
        if not frame.is_shim:
            calls[-1].append((frame.code.scope, frame.code.filename, frame.code.location.lineno, False))
    return calls


COLLECTOR = StackCollector("pystack", 30, read, native=True, merged=True)
