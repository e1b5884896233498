"""What a rank was doing."""

from __future__ import annotations

import enum


class State(str, enum.Enum):
    """What a rank was doing, judged from two samples a known time apart."""

    PROGRESSING = "progressing"
    SLOW = "slow"  # longer in one step than its history allows, but something still moves
    IDLE = "idle"  # serves others, and nobody asks: what a parameter server does while its clients are stuck
    HUNG = "hung"  # longer in one step than its history allows, and nothing moved between two samples
    DEAD = "dead"  # was there, and is gone without having finished
    FINISHED = "finished"  # said that it had done its work
    UNREACHABLE = "unreachable"  # should be there, cannot be looked at
    UNKNOWN = "unknown"


GONE = (State.DEAD, State.FINISHED, State.UNREACHABLE)
"""States of what does not run any more, or cannot be seen to."""
