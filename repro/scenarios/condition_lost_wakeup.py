"""A notification is sent before anybody waits for it, and is lost."""

from __future__ import annotations

from repro.jobs.single import single
from repro.scenario import Arm

SCENARIO = single(
    "condition-lost-wakeup",
    summary="A notification comes before the wait, and is lost",
    story=(
        "The trainer waits on a condition until a producer has refilled the queue. It does not look at the queue "
        "first, so when the producer is quicker the notification is gone, and each waits for the other."
    ),
    stuck=(Arm("unchecked", "wait() without looking at what is waited for"),),
    healthy=(Arm("checked", "wait_for() with the condition that is waited for"),),
    cause="condition-lost-wakeup",
    why="the only notification was sent before the wait began",
)
