"""What the log tells of a thread that fed a queue and has ended. Pure."""

from __future__ import annotations

import re

from diagnostics.model import Process

_IN_THREAD = re.compile(r"^Exception in thread ")
_RAISED = re.compile(
    r"^(?:[\w .<>-]{1,40}: )?(?:[a-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Iteration|OutOfRange)(?:\(.*\)|: .*)?$"
)
"""How Python, and programs that catch it, print an exception: `KeyError: 'x'`, `feeder: KeyError('x')`."""
_STEP = re.compile(r"\b(?:step|iter(?:ation)?|batch|epoch|loss)s?\b\W{0,3}\d", re.I)
_LAST = 15


def exception_told(process: Process) -> str:
    """The line of the log in which a thread of a program that made steps failed; "" where none tells so.

    That there was something to eat before is what tells a feeder that failed from one that was never there.
    """
    lines = [line.strip() for line in process.log_tail]
    begins = next((at for at, line in enumerate(lines) if _IN_THREAD.match(line)), -1)
    raised = [at for at, line in enumerate(lines) if _RAISED.match(line) and (at > begins >= 0 or _is_last(at, lines))]
    if not raised:
        return lines[begins] if begins >= 0 else ""
    made = process.flight is not None and process.flight.steps > 0
    made = made or any(_STEP.search(line) for line in lines[: raised[-1]])
    return lines[raised[-1]] if begins >= 0 or made else ""


def _is_last(at: int, lines: list[str]) -> bool:
    """Whether no step was told after it."""
    return at >= len(lines) - _LAST and not any(_STEP.search(line) for line in lines[at + 1 :])
