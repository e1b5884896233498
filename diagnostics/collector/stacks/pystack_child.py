"""Runs pystack on one process and prints its threads as JSON: `python -m ... PID`.

A process of its own, because reading a stopped target can take long or never come back, and then it has to be
ended without harm to the rest. The kernel resumes the target when its tracer ends.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

import msgspec
from pystack import types
from pystack.engine import NativeReportingMode, get_process_threads
from pystack.errors import PystackError

from diagnostics.collector import namespaces
from diagnostics.model import Frame, Thread
from diagnostics.stacks.demangle import native_frame


def _python_frame(frame: types.PyFrame) -> Frame:
    return Frame(function=frame.code.scope, file=frame.code.filename, line=frame.code.location.lineno)


def _python_calls(thread: types.PyThread) -> list[list[Frame]]:
    """Python frames grouped by the C call of the interpreter's loop that runs them."""
    calls: list[list[Frame]] = []
    for frame in thread.all_frames:
        if frame.is_entry or not calls:
            calls.append([])
        if not frame.is_shim:
            calls[-1].append(_python_frame(frame))
    return calls


def merge_frames(thread: types.PyThread) -> Iterable[Frame]:
    """Outermost first. Each call of the interpreter's loop is replaced by the Python frames that it runs."""
    kinds = [types.frame_type(frame, thread.python_version) for frame in thread.native_frames]
    calls = _python_calls(thread)
    if kinds.count(types.NativeFrame.FrameType.EVAL) != len(calls):
        # The native unwinder lost its way: both parts are true, their order among each other is not known.
        yield from (frame for call in calls for frame in call)
        calls = []
    remaining = iter(calls)
    for frame, kind in zip(thread.native_frames, kinds, strict=True):
        if kind is types.NativeFrame.FrameType.EVAL:
            yield from next(remaining, [])
        elif kind is types.NativeFrame.FrameType.OTHER:
            yield native_frame(frame.symbol, frame.library, frame.linenumber)


def read(pid: int) -> tuple[Thread, ...]:
    """Threads of a process, by their numbers in the namespace of the caller."""
    return tuple(
        Thread(
            tid=thread.tid,
            name=thread.name or "",
            frames=tuple(merge_frames(thread)),
            holds_gil=thread.holds_the_gil > 0,
        )
        for thread in get_process_threads(pid, stop_process=True, native_mode=NativeReportingMode.ALL)
    )


def enter_container(pid: int) -> tuple[int, dict[int, int]]:
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
    if child := os.fork():
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)
    namespaces.die_with_parent()  # when this is given up, nobody must be left who holds the target
    return inner, numbers


def main() -> None:
    try:
        pid, numbers = enter_container(int(sys.argv[1]))
        threads = [msgspec.structs.replace(thread, tid=numbers.get(thread.tid, thread.tid)) for thread in read(pid)]
    except (PystackError, OSError, RuntimeError) as error:
        lines = str(error).strip().splitlines()
        sys.exit(lines[0] if lines else type(error).__name__)
    sys.stdout.buffer.write(msgspec.json.encode(threads))


if __name__ == "__main__":
    main()
