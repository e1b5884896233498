"""When faults strike and heal: by time or by event, on a thread beside the trial, in the trial's own history."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import msgspec

from diagnostics.errors import LastbatchError, UsageError
from diagnostics.transport import flight
from repro import faults
from repro.cluster import LACKS, Cluster
from repro.faults.base import Fault
from repro.faults.history import History

POLL = 0.05
"""Seconds after which it is asked again what is due."""
RECOVERY = 2.0
"""So many times as long as a fault lasted may recovery take: what was lost is sent again after waits that double."""


class Scheduled(msgspec.Struct, frozen=True):
    """A fault with its time.

    It strikes `after` seconds of training, or when `rank` has come to the end of `epoch`. `lasts` is the time until it
    is healed; None: it is not, before the trial is over.
    """

    fault: Fault
    written: str
    after: float = 0.0
    rank: str = ""
    epoch: int = 0
    lasts: float | None = None


def parse(written: str) -> Scheduled:
    """`NAME:TARGET,KEY=VALUE,...` with `at=SECONDS` or `at=RANK@EPOCH`, and `for=SECONDS`.

    Raises:
        UsageError: not of this form, or no such fault.
    """
    name, _, rest = written.partition(":")
    target, *pairs = rest.split(",")
    given = {key: value for key, _, value in (pair.partition("=") for pair in pairs)}
    fault = faults.make(name, target, {key: value for key, value in given.items() if key not in ("at", "for")})
    lasts = _seconds(written, given["for"]) if "for" in given else None
    if lasts is not None and not fault.heals:
        raise UsageError(f"{name} cannot be healed", "Leave `for=` away")
    rank, at_end_of, epoch = given.get("at", "0").partition("@")
    if not at_end_of:
        return Scheduled(fault, written, after=_seconds(written, rank), lasts=lasts)
    if not epoch.isdigit():
        raise UsageError(f"fault {written!r}: {epoch!r} is not an epoch", "For example at=worker:0@3")
    return Scheduled(fault, written, rank=rank, epoch=int(epoch), lasts=lasts)


def _seconds(written: str, text: str) -> float:
    try:
        return float(text.removesuffix("s"))
    except ValueError:
        raise UsageError(f"fault {written!r}: {text!r} is not a number of seconds") from None


def check(scheduled: Sequence[Scheduled], place: str, ranks: Sequence[str]) -> None:
    """Raises: UsageError: a fault that this place cannot do, or a rank that the trial does not have."""
    for one in scheduled:
        if why_not := LACKS[place].get(one.fault.needs):
            able = next(name for name, lacks in LACKS.items() if one.fault.needs not in lacks)
            raise UsageError(
                f"{one.fault.name} does not work on the {place} cluster: {why_not}", f"Add --backend {able}"
            )
        for rank in (*one.fault.ranks, *([one.rank] if one.rank else [])):
            if rank not in ranks:
                raise UsageError(f"fault {one.written!r}: there is no rank {rank!r}", f"There are: {', '.join(ranks)}")


class Nemesis:
    """Strikes and heals while the trial goes on. Everything is healed when its block ends."""

    def __init__(self, cluster: Cluster, scheduled: Sequence[Scheduled], history: History) -> None:
        self._cluster = cluster
        self._history = history
        self._pending = list(scheduled)
        self._struck: list[tuple[float, Scheduled]] = []
        self.struck_last = 0.0
        """When the latest fault struck, by the monotonic clock; 0: none has."""
        self._recovering_until = 0.0
        self._failure: LastbatchError | None = None
        self.truce = threading.Lock()
        """Whoever holds it looks at a job to which nothing is done meanwhile."""
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._began = time.monotonic()

    def __enter__(self) -> Nemesis:
        self._began = time.monotonic()
        if self._pending:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()
        for struck in self._struck:
            self._heal(struck[1])

    def is_healing(self) -> bool:
        """Whether a silence is still explained by a fault that is to be healed, or was so just now.

        Raises:
            LastbatchError: a fault could not be done.
        """
        if self._failure:
            raise self._failure
        in_force = any(one.lasts is not None for _, one in self._struck)
        return in_force or time.monotonic() < self._recovering_until

    def _run(self) -> None:
        try:
            while not self._done.wait(POLL):
                with self.truce:
                    for one in [one for one in self._pending if self._is_due(one)]:
                        self._pending.remove(one)
                        self._strike(one)
                    for struck in list(self._struck):
                        self._heal_in_time(struck)
        except LastbatchError as error:
            self._failure = error
        except Exception as error:  # whatever an engine or the kernel says: the trial ends with it in one line
            self._failure = LastbatchError(f"a fault could not be done: {str(error).splitlines()[0][:200]}")

    def _heal_in_time(self, struck: tuple[float, Scheduled]) -> None:
        since, one = struck
        if one.lasts is not None and time.monotonic() >= since + one.lasts:
            self._heal(one)
            self._recovering_until = time.monotonic() + RECOVERY * one.lasts
            self._struck.remove(struck)

    def _is_due(self, one: Scheduled) -> bool:
        if not one.rank:
            return time.monotonic() >= self._began + one.after
        recording = flight.load(self._cluster.member(one.rank).directory / "flight.lbrec", tail=1)
        return recording is not None and recording.epoch_ends >= one.epoch

    def _strike(self, one: Scheduled) -> None:
        self._history.add("strike", one.written)
        one.fault.strike(self._cluster)
        self.struck_last = time.monotonic()
        self._struck.append((self.struck_last, one))
        self._history.add("struck", one.written)

    def _heal(self, one: Scheduled) -> None:
        one.fault.heal(self._cluster)
        self._history.add("healed", one.written)
