"""Runs pystack on one process and prints its threads as JSON: `python -m ... PID`.

A process of its own, because reading a stopped target can take long or never come back, and then it has to be
ended without harm to the rest. The kernel resumes the target when its tracer ends.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import msgspec
from pystack import types
from pystack.engine import NativeReportingMode, get_process_threads
from pystack.errors import PystackError

from diagnostics.collect.names import native_frame
from diagnostics.model import Frame, Thread


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


def main() -> None:
    pid = int(sys.argv[1])
    try:
        threads = get_process_threads(pid, stop_process=True, native_mode=NativeReportingMode.ALL)
        found = [
            Thread(
                tid=thread.tid,
                name=thread.name or "",
                frames=tuple(merge_frames(thread)),
                holds_gil=thread.holds_the_gil > 0,
            )
            for thread in threads
        ]
    except (PystackError, OSError, RuntimeError) as error:
        lines = str(error).strip().splitlines()
        sys.exit(lines[0] if lines else type(error).__name__)
    sys.stdout.buffer.write(msgspec.json.encode(found))


if __name__ == "__main__":
    main()
