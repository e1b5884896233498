"""What ranks that are in no collective say of those that wait in one."""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.analyze.facts import names
from diagnostics.causes.base import Case
from diagnostics.causes.observe import main_at, rests
from diagnostics.model import Process, State


def look_at_absent(case: Case, absent: Sequence[Process]) -> None:
    """Who has left will not come; who is elsewhere may."""
    finished = [process for process in absent if process.state is State.FINISHED or process.exit_status == 0]
    left = [process for process in absent if process not in finished]
    dead = [process for process in left if process.state in (State.DEAD, State.UNREACHABLE)]
    resting = [process for process in left if process not in dead and rests(process)]
    working = [process for process in left if process not in (*dead, *resting)]
    if finished:
        said = "has finished its work, and does not come to it any more"
        case.saw("absent-finished", said, "recorder", names(finished))
    if resting:
        main = main_at(resting[0])
        at = main.where if main else ""
        said = f"stands still outside of any collective, with nothing of its own to wait for: {at}"
        case.saw("absent-rests", said, "stacks", names(resting))
    if dead:
        case.saw("absent-dead", "is gone, and had not finished as far as is known", "processes", names(dead))
    if working:
        main = main_at(working[0])
        at = f": {main.where}" if main else ""
        case.saw("absent-elsewhere", f"is elsewhere, and may still come{at}", "stacks", names(working))
