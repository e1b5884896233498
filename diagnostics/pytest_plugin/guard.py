"""The guard of a pytest session: waits for a timeout beside it, looks at its whole tree, and says what it found.

Reads one JSON message a line: `{"arm": NAME, "seconds": S}` (with `"last": true` for the end of the session),
`{"disarm": true}`. Ends with pytest.
"""

from __future__ import annotations

import io
import json
import os
import re
import select
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec


class Order(msgspec.Struct, frozen=True):
    """`grace`: seconds after the signal in which the test must have ended. `answer`: file for the answer."""

    pid: int
    directory: str
    answer: str
    signal: int
    grace: float


class Armed(msgspec.Struct, frozen=True):
    name: str
    until: float  # monotonic
    last: bool


def main(order: Order) -> None:
    try:
        pytest = os.pidfd_open(order.pid)
    except ProcessLookupError:
        return
    before = frozenset(_tree(order.pid))
    print("ready", flush=True)  # whoever started us waits for it
    os.dup2(2, 1)
    armed: Armed | None = None
    while True:
        message = _next(pytest, armed.until if armed else None)
        if message is None:  # pytest has ended
            return
        if "arm" in message:
            armed = Armed(message["arm"], time.monotonic() + message["seconds"], bool(message.get("last")))
            before = frozenset() if armed.last else frozenset(_tree(order.pid))
        elif "disarm" in message:
            armed = None
        elif armed:
            _on_timeout(order, armed, pytest, before)
            armed = None


_MESSAGES = os.fdopen(0, "rb", buffering=0)  # unbuffered: what `select` does not see must not lie in a buffer


def _next(pytest: int, until: float | None) -> Mapping[str, Any] | None:
    """The next message; {} when the time is up; None when pytest is gone."""
    while True:
        left = None if until is None else max(0.0, until - time.monotonic())
        waited_for: list[Any] = [_MESSAGES, pytest]
        ready = select.select(waited_for, [], [], left)[0]
        if pytest in ready:
            return None
        if not ready:
            return {}
        if line := _MESSAGES.readline():
            return json.loads(line)  # type: ignore[no-any-return]
        until_end = select.select([pytest], [], [], left)[0]  # nobody writes any more; pytest itself may still be there
        return None if until_end else {}


def _on_timeout(order: Order, armed: Armed, pytest: int, before: frozenset[tuple[int, int]]) -> None:
    text, bundle = _look(order, armed)
    tree = _tree(order.pid)
    Path(order.answer).write_text(json.dumps({"text": text, "bundle": bundle}), "utf-8")
    if not armed.last:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(pytest, order.signal)
        message = _next(pytest, time.monotonic() + order.grace)
        if message is None or "disarm" in message:
            _kill(tree - before - {_key(order.pid)})  # what the test started and left
            return
    print(f"\n{armed.name} exceeded its timeout. What lastbatch found:\n\n{text}\n", file=sys.stderr, flush=True)
    why = "keeps pytest alive" if armed.last else "did not end by itself"
    print(f"lastbatch: {armed.name} {why}: its processes are killed", file=sys.stderr, flush=True)
    _kill(tree | {_key(order.pid)})


def _look(order: Order, armed: Armed) -> tuple[str, str]:
    """The answer as text, and the bundle's path; whatever goes wrong is the answer then."""
    from rich.console import Console

    from diagnostics import pipeline
    from diagnostics.report.terminal import render_diagnosis

    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", armed.name).strip("-")[-80:]
    path = Path(order.directory) / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{order.pid}.tar.zst"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        answer = pipeline.attach([order.pid], out=path)
    except Exception as error:
        return f"it could not be looked at: {error}", ""
    page = Console(file=io.StringIO(), width=100, highlight=False)
    page.print(render_diagnosis(answer.collection, answer.diagnosis, verbose=True))
    assert isinstance(page.file, io.StringIO)
    written = str(answer.bundle or "")
    kept = f"\nEvidence: {written}" if written else f"\nThe evidence is not written: {answer.not_written}"
    return page.file.getvalue() + kept, written


def _key(pid: int) -> tuple[int, int]:
    """A process, also when its number is used again."""
    from diagnostics.collector import procfs

    return pid, procfs.start_time(pid)


def _tree(pid: int) -> set[tuple[int, int]]:
    from diagnostics.discover.scan import descendants_of

    return {_key(below) for below in descendants_of([pid])}


def _kill(tree: set[tuple[int, int]]) -> None:
    for pid, started in tree:
        if started >= 0 and _key(pid) == (pid, started):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for pytest
    main(msgspec.json.decode(sys.argv[1], type=Order))
