"""What is asked once more of processes that were collected, wherever they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from diagnostics.model import Collection, Process, Sample, Thread
from diagnostics.transport.answers import Answer, with_stacks
from diagnostics.transport.options import Options

T = TypeVar("T")
Progress = Callable[[str], None]
Place = tuple[str, int]
"""A host, and the id of a process there."""


def silent(stage: str) -> None:
    pass


class Reach(Protocol):
    """A way to where the processes of a job are."""

    def collect(self, options: Options, progress: Progress) -> Collection:
        """All evidence of the job."""
        ...

    def visit(
        self, do: Sequence[str], processes: Sequence[Process], options: Options, **more: Any
    ) -> dict[str, Answer]:
        """What the collectors of the hosts of these processes say to an order; nothing of a host out of reach."""
        ...


def events_of(processes: Sequence[Process]) -> dict[str, int]:
    """Process id -> events that its recorder had, for a collector that is to tell whether it went on since."""
    return {str(process.pid): process.flight.count for process in processes if process.flight}


FRAMES = Options(gap=0.0, samples=1, collectors=("py-spy",), budget=5.0)
"""Python's frames as they are now, of processes that nobody stops."""


def resample(
    collection: Collection, reach: Reach, frames: bool = True
) -> tuple[Collection, dict[Place, tuple[Thread, ...]]]:
    """With one more sample of each process and reading of each card, and Python's frames as they are now.

    Nobody is stopped for it. `frames`: whether these are read at all.
    """
    do = ["observe", "stacks"] if frames else ["observe"]
    answers = reach.visit(do, [one for one in collection.processes if one.samples], FRAMES, gently=True)

    def newer(process: Process) -> Process:
        answer = answers.get(process.host)
        found = answer.evidence.get(process.pid) if answer else None
        samples: tuple[Sample, ...] = found.samples if found else ()
        return msgspec.structs.replace(process, samples=process.samples + samples)

    threads = {
        (host, pid): with_stacks(Process("", pid, host), answer).threads
        for host, answer in answers.items()
        for pid in answer.stacks
    }
    told = {(one.host, one.index): one.readings for answer in answers.values() for one in answer.devices}
    devices = tuple(
        msgspec.structs.replace(one, readings=one.readings + told.get((one.host, one.index), ()))
        for one in collection.devices
    )
    processes = tuple(map(newer, collection.processes))
    return msgspec.structs.replace(collection, processes=processes, devices=devices), threads


@dataclass(frozen=True)
class Told(Generic[T]):
    """What a source gave, by process. `unusable`: why an answer is not; `left_out`: that, and why hosts gave none."""

    of: Mapping[Place, T]
    unusable: Mapping[Place, str]
    left_out: tuple[str, ...]


def ask(
    reach: Reach,
    source: str,
    processes: Sequence[Process],
    wanted: Mapping[str, Any],
    form: type[T],
    seconds: float = 15.0,
) -> Told[T]:
    """What one source that answers only when asked gives of each process, as a value of `form`.

    Args:
        wanted: what the source has to know; see its own text in `diagnostics.collector.sources`.
        seconds: that it may take, on each host; less where the visit there has less.
    """
    options = Options(gap=0.0, samples=1)
    answers = reach.visit(["ask"], processes, options, source=source, wanted=dict(wanted), seconds=seconds)
    of, unusable = dict[Place, T](), dict[Place, str]()
    for host, answer in answers.items():
        for one in answer.asked:
            try:
                of[host, one.pid] = msgspec.convert(one.found, form)
            except msgspec.ValidationError as error:
                unusable[host, one.pid] = f"the answer is no evidence: {error}"
    silent_hosts = [f"{why} (on {host})" for host, answer in answers.items() for why in answer.left_out]
    bad = [f"{source}: process {pid}: {why} (on {host})" for (host, pid), why in unusable.items()]
    return Told(of, unusable, (*silent_hosts, *bad))


def with_told(collection: Collection, told: Told[T], put: Callable[[Process, T], Process]) -> Collection:
    """The collection with what `put` makes of each process that was told of, and with the reasons for what was not."""
    if not told.of and not told.left_out:
        return collection
    processes = tuple(
        put(process, told.of[place]) if (place := (process.host, process.pid)) in told.of else process
        for process in collection.processes
    )
    return msgspec.structs.replace(collection, processes=processes, left_out=(*collection.left_out, *told.left_out))
