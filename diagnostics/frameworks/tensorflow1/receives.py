"""Receives of a step, from registration to return: which ones an abort did not reach. Pure.

Names as in the framework: a *rendezvous* belongs to one step of one process, its *calls* are receives from other
processes. See `sets.rendezvous` for the functions behind the events.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from diagnostics.frameworks.tensorflow1.probes import Event, Scope
from diagnostics.model.rank import process
from diagnostics.model.trace import Count

STATUS_WORDS = {
    1: "CANCELLED", 2: "UNKNOWN", 4: "DEADLINE_EXCEEDED", 10: "ABORTED", 11: "OUT_OF_RANGE", 14: "UNAVAILABLE",
}  # fmt: skip


SLOTS = 512
"""Steps of a process that the kernel remembers, by the number's lowest bits. Numbers are random."""
STEP = 20_000_000
"""Nanoseconds from the beginning of a step's parts to that of its receives, at most."""


@dataclass
class Receive:
    """One use of a call object; objects are used again after their return. Times in nanoseconds, 0: not seen.

    Where registrations are not probed, `thread` is the one that started it, which is the same.
    """

    pid: int
    call: int
    owner: int
    step: int
    registered: int
    thread: int
    started: int = 0
    cancelled: int = 0
    cancelled_by: int = 0
    callback: bool = True  # whether there was a callback to call when it was cancelled
    returned: int = 0
    seen_open: int = 0  # when the call itself was looked at, and its RPC was out
    peer: str = ""

    @property
    def window(self) -> str:
        """`A`, `B`, or "" where the abort reached it, or there was none."""
        if not self.cancelled or not self.sent:
            return ""
        if self.cancelled_by == self.thread and self.cancelled <= self.sent:
            return "A"
        # A callback is also gone when the RPC is over: after the start only a call that never returned is sure.
        return "B" if not self.callback and (self.cancelled <= self.sent or not self.returned) else ""

    @property
    def began(self) -> int:
        """The first that was seen of it."""
        return min(at for at in (self.registered, self.cancelled, self.started, self.seen_open) if at)

    @property
    def sent(self) -> int:
        """When its RPC was, or by when: 0 where that was not seen."""
        return self.started or self.seen_open

    @property
    def open(self) -> bool:
        """Sent and not returned. One that was refused before it was sent is neither sent nor returned."""
        return bool(self.sent) and not self.returned


@dataclass(frozen=True)
class Story:
    """All receives and aborts that were seen."""

    receives: tuple[Receive, ...]  # where registrations are not probed, those that are open at the end
    latest: int  # when the last receive began, of all
    aborts: Mapping[tuple[int, int], tuple[Event, ...]]  # by process and rendezvous
    runs: Mapping[int, frozenset[int]]  # steps that each process ran
    slots: Mapping[tuple[int, int], int]  # where the kernel keeps only one step a slot: when the last one began
    parts: tuple[Event, ...]  # ends of a step's parts, as the master hears of them

    def abort_of(self, receive: Receive) -> Event | None:
        """The abort that cancelled it: the first of its step, or for window B that of the thread that cancelled it."""
        aborts = [
            abort
            for abort in self.aborts.get((receive.pid, receive.owner), ())
            if abort.numbers["step"] == receive.step and abort.at <= receive.cancelled
        ]
        own = [abort for abort in aborts if abort.tid == receive.cancelled_by]
        return own[-1] if own else min(aborts, key=lambda abort: abort.at, default=None)

    def ran(self, pid: int, receive: Receive) -> bool | None:
        """Whether a process ran a receive's step; None if another step has taken its place since, or may have."""
        if receive.step in self.runs.get(pid, ()):
            return True
        taken = self.slots.get((pid, receive.step % SLOTS), 0)
        return None if taken > receive.began - STEP else False


def follow(events: Iterable[Event]) -> Story:
    """Pair the events."""
    live: dict[tuple[int, int], Receive] = {}
    vain: dict[tuple[int, int], Event] = {}
    latest = 0
    receives: list[Receive] = []
    aborts: dict[tuple[int, int], list[Event]] = defaultdict(list)
    runs: dict[int, set[int]] = defaultdict(set)
    slots: dict[tuple[int, int], int] = {}
    parts: list[Event] = []
    for event in events:
        numbers = event.numbers
        if event.kind == "register":
            receive = Receive(event.pid, numbers["call"], numbers["owner"], numbers["step"], event.at, event.tid)
            live[event.pid, receive.call] = receive
            receives.append(receive)
        elif event.kind == "abort":
            aborts[event.pid, numbers["owner"]].append(event)
        elif event.kind == "run":
            runs[event.pid].add(numbers["step"])
            if "slot" in numbers:
                slots[event.pid, numbers["slot"]] = event.at
        elif event.kind == "part":
            parts.append(event)
        elif event.kind == "open":
            aborted_by = [abort.tid for abort in aborts[event.pid, numbers["owner"]]]
            receives.append(_at_the_end(event, vain.get((event.pid, numbers["call"])), aborted_by))
        elif event.kind == "send":
            latest = event.at
        elif known := live.get((event.pid, numbers["call"])):
            _note(known, event)
        elif event.kind == "cancel":
            vain[event.pid, numbers["call"]] = event
        if event.kind in ("register", "start"):
            latest = event.at
    return Story(
        tuple(receives),
        latest,
        {key: tuple(value) for key, value in aborts.items()},
        {pid: frozenset(steps) for pid, steps in runs.items()},
        slots,
        tuple(parts),
    )


def _at_the_end(look: Event, cancel: Event | None, aborted_by: Collection[int]) -> Receive:
    """One that was seen open. A cancellation in vain is of this use of the object if its status is one.

    It is by the thread that aborts, or in window A by the one that sends, which this tells where that was not seen.
    """
    numbers, thread = look.numbers, look.tid
    if not thread and cancel and cancel.tid not in aborted_by:
        thread = cancel.tid
    receive = Receive(
        look.pid, numbers["call"], numbers["owner"], numbers["step"], 0, thread,
        started=numbers["sent"], seen_open=look.at, peer=look.text,
    )  # fmt: skip
    if cancel and numbers["code"]:
        _note(receive, cancel)
    return receive


def _note(receive: Receive, event: Event) -> None:
    if event.kind == "start":
        receive.started = receive.started or event.at
    elif event.kind == "cancel" and not receive.cancelled:
        receive.cancelled, receive.cancelled_by = event.at, event.tid
        receive.callback, receive.peer = bool(event.numbers["callback"]), rank_of(event.text) or receive.peer
    elif event.kind == "return":
        receive.returned = receive.returned or event.at


def rank_of(device: str) -> str:
    """`/job:ps/replica:0/task:2` -> `ps:2`; "" for anything else."""
    parts = dict(part.split(":", 1) for part in device.split("/") if ":" in part)
    return f"{parts['job']}:{parts['task']}" if "job" in parts and "task" in parts else ""


def distance(story: Story, receive: Receive) -> float:
    """Microseconds between abort and registration (A) or registration and cancellation (B).

    Where registrations are not probed, for B: between cancellation and start.
    A registration in window A counts from when it found the abort: it may have waited for the lock before.
    """
    if receive.window == "B":
        other = receive.registered or receive.started
        return abs(receive.cancelled - other) / 1000
    abort = story.abort_of(receive)
    return (receive.cancelled - abort.at) / 1000 if abort else 0.0


def gaps(receives: Iterable[Receive]) -> tuple[Count, ...]:
    """How long a call is registered and cannot be cancelled yet: counts by the power of two above, in microseconds."""
    counts = Counter(
        1 << max(0, ((receive.started - receive.registered) // 1000).bit_length())
        for receive in receives
        if receive.started and receive.registered
    )
    return tuple(Count(f"<{most}", counts[most]) for most in sorted(counts))


def rank_in(scope: Scope, pid: int) -> str:
    return scope.ranks.get(pid, str(process(pid)))
