"""Sessions of distributed TensorFlow that are being made: who is asked, and whether it is the first one. Pure."""

from __future__ import annotations

import re

from diagnostics.model import Process
from diagnostics.stacks.symbols import uses

# TensorFlow says so every 10 s: "CreateSession still waiting for response from worker: /job:ps/replica:0/task:1".
_WAITING = re.compile(r"still waiting for response from worker: /job:(\w+)/replica:\d+/task:(\d+)")
_MADE = re.compile(r"Start master session \w+")
_OF_US = "tensorflow"
_LAST_LINES = 15
_TRAINED = 16_000
"""Bytes to a peer beyond those of a first session; one step of a small model has a few hundred."""


def asked_for(process: Process) -> tuple[str, ...]:
    """Ranks that its log says do not answer. Of the last lines only: who has come up is no longer waited for."""
    lines = process.log_tail[-_LAST_LINES:]
    made = max((index for index, line in enumerate(lines) if _MADE.search(line)), default=-1)
    waiting = [match for line in lines[made + 1 :] if (match := _WAITING.search(line))]
    return tuple(dict.fromkeys(f"{match[1]}:{match[2]}" for match in waiting))


def trained_before(process: Process) -> str:
    """How it shows that this is not its first session, "" where nothing does."""
    if process.flight and process.flight.steps:
        return f"{process.flight.steps} steps done"
    if any(_MADE.search(line) for line in process.log_tail):
        return "its log tells of an earlier session"
    known = uses(process, _OF_US) if process.threads else process.versions.framework == _OF_US
    if not known:
        return ""  # PyTorch's store, too, is asked again and again while ranks are missing
    most = max((one.bytes_sent for one in process.connections if one.state == "ESTABLISHED"), default=0)
    return f"{most} bytes sent to a peer" if most > _TRAINED else ""
