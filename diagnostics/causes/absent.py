"""What ranks that are in no collective say of those that wait in one."""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.analyze.facts import names
from diagnostics.analyze.thread_waits import rests, wait_of
from diagnostics.causes.base import Case
from diagnostics.model import Process, State
from diagnostics.stacks.prefix_tree import main_thread


def look_at_absent(case: Case, absent: Sequence[Process]) -> None:
    """What ranks that are in no collective say of those that wait in one: who has left will not come to it."""
    finished = [process for process in absent if process.state is State.FINISHED or process.exit_status == 0]
    left = [process for process in absent if process not in finished]
    dead = [process for process in left if process.state in (State.DEAD, State.UNREACHABLE)]
    resting = [process for process in left if process not in dead and rests(process)]
    working = [process for process in left if process not in (*dead, *resting)]
    if finished:
        said = "has finished its work, and does not come to it any more"
        case.saw("absent-finished", said, "recorder", names(finished))
    if resting:
        at = wait_of(thread).at if (thread := main_thread(resting[0])) else ""
        said = f"stands still outside of any collective, with nothing of its own to wait for: {at}"
        case.saw("absent-rests", said, "stacks", names(resting))
    if dead:
        case.saw("absent-dead", "is gone, and had not finished as far as is known", "processes", names(dead))
    if working:
        case.saw("absent-elsewhere", "is elsewhere, and may still come", "stacks", names(working))
