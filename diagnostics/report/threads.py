"""Where the threads of a process stand, as the JSON document tells it."""

from __future__ import annotations

from typing import Any

from diagnostics.model import Process, Thread
from diagnostics.stacks.demangle import is_noise
from diagnostics.stacks.position import is_idle, pairs

MOST = 48
"""Threads of a process that are told; those that are idle by nature are left out."""


def threads_of(process: Process) -> list[dict[str, Any]]:
    return [
        {
            "tid": thread.tid, "name": thread.name, "operation": position.operation, "function": position.function,
            "file": position.file, "line": position.line, "waits_for": position.waits_for,
            "innermost": innermost(thread), "holds_gil": thread.holds_gil,
        }
        for thread, position in pairs(process)
        if thread.frames and not is_idle(position)
    ][:MOST]  # fmt: skip


def innermost(thread: Thread) -> str:
    """The function that the thread is in, without libc's way down to the kernel."""
    return next((frame.function for frame in reversed(thread.frames) if not is_noise(frame)), "")
