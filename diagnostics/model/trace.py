"""What a trace showed: plain values, stored in bundles and drawn by reports."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import msgspec

from diagnostics.model.record import Record


class TraceVerdict(str, enum.Enum):
    """Whether the race was at work in what was traced."""

    PROVEN = "proven"  # a call is open that escaped, with the events that show it
    REFUTED = "refuted"  # the standstill was traced from before it began, and no call that escaped is open
    NOT_SEEN = "not seen"  # neither: no standstill, or it began before the trace


class Count(Record, frozen=True):
    """How often something was seen."""

    what: str
    number: int


def counted(numbers: Mapping[str, int]) -> tuple[Count, ...]:
    return tuple(Count(what, number) for what, number in sorted(numbers.items()))


class TraceEvent(Record, frozen=True):
    """One thing that happened, in words. `at` is in microseconds from the abort that mattered."""

    at: float
    rank: str
    tid: int
    what: str
    significant: bool = msgspec.field(default=False, name="telling")  # one of those that make the proof

    @property
    def when(self) -> str:
        """`at` for people: `+183.0 µs`, `+11.0 s`."""
        return f"{self.at:+,.1f} µs" if abs(self.at) < 1e5 else f"{self.at / 1e6:+,.1f} s"


class Escaped(Record, frozen=True):
    """A call that an abort did not reach.

    `window` is `A` (registered after the abort) or `B` (aborted before its cancel callback was there).
    `distance` lies between abort and registration (A), or registration and abort (B), in microseconds; for B, where
    registrations were not probed, between abort and sending.
    """

    rank: str
    window: str
    step: str  # hexadecimal
    owner: str  # address of the rendezvous, hexadecimal
    call: str  # address of the call, hexadecimal
    peer: str  # rank that was asked, "" where it was not seen
    thread: int  # registered it
    aborted_by: int  # thread that aborted the step
    distance: float
    came_back: bool
    peer_ran: bool | None = None  # None: not traced
    tensor: str = ""  # its name in the rendezvous, where it could be read


class Tally(Record, frozen=True):
    """One rendezvous object in one step: how many calls came to each point."""

    rank: str
    step: str
    owner: str
    registered: int
    started: int
    cancelled: int
    returned: int
    aborts: int
    window_a: int
    window_b: int
    open: int


class NearMiss(Record, frozen=True):
    """An abort that came close to a call's unprotected moment. `microseconds` from it; negative: just before."""

    rank: str
    step: str
    window: str
    microseconds: float


class TraceResult(Record, frozen=True):
    """The answer of a probe set."""

    probe_set: str  # its name, "" until a session has put it in
    verdict: TraceVerdict
    why: str
    method: str = "probes"  # or "memory"
    library: str = ""
    seconds: float = 0.0
    counts: tuple[Count, ...] = ()  # of events
    lost: int = 0
    unreadable: int = 0
    escaped: tuple[Escaped, ...] = ()  # those that are open first, then examples of those that came back
    escaped_total: tuple[Count, ...] = ()  # by window
    tallies: tuple[Tally, ...] = ()  # of the last steps that were aborted
    near_misses: tuple[NearMiss, ...] = ()  # the nearest
    gaps: tuple[Count, ...] = ()  # registration to start, by duration in microseconds
    sequence: tuple[TraceEvent, ...] = ()
    ran: tuple[str, ...] = ()  # ranks that ran the step of the first open call
    did_not_run: tuple[str, ...] = ()  # ranks that ran other steps, but not that one
