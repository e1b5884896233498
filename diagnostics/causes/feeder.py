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
"""Lines: what a feeder has brought before it failed is still made into steps."""


def exception_told(process: Process) -> str:
    """The line of the log in which a thread of a program that made steps failed; "" where none tells so.

    That there was something to eat before is what tells a feeder that failed from one that was never there.
    """
    lines = [line.strip() for line in process.log_tail]
    begins = next((at for at, line in enumerate(lines) if _IN_THREAD.match(line)), -1)
    first = begins if begins >= 0 else len(lines) - _LAST
    raised = [at for at, line in enumerate(lines) if at >= first and _RAISED.match(line)]
    if not raised:
        return lines[begins] if begins >= 0 else ""
    made = process.flight is not None and process.flight.steps > 0
    made = made or any(_STEP.search(line) for line in lines[: raised[-1]])
    return lines[raised[-1]] if begins >= 0 or made else ""
