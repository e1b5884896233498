"""What a probe set is: a small file that names functions, what to note of a call, and how to judge the events.

The events are here as well; `events` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from diagnostics.collector.memory.elf import Library
    from diagnostics.model.trace import TraceResult


class Probe(msgspec.Struct, frozen=True):
    """One function of the framework.

    `symbol` is how its mangled name begins: what follows are the arguments, which differ between releases. `numbers`
    are expressions of the probe language (`arg0` is `this`) by name, with {placeholders} for offsets that the set
    derives, and {share} for how many keys of a table each process may take; `text` is one that yields a string, `when`
    a condition. A set works without those that are not `needed`.

    One that is to `remember` tells of no call: for each value of those numbers the kernel keeps the last call, or the
    `first_of` each value of another number, and says them when the trace ends. That costs a third of an event that is
    told, and wakes nobody.
    """

    event: str
    letter: str
    symbol: str
    numbers: Mapping[str, str] = {}
    text: str = ""
    needed: bool = True
    when: str = ""
    remember: tuple[str, ...] = ()
    first_of: str = ""


class Scope(msgspec.Struct, frozen=True):
    """What was traced: process -> rank, from when to when in nanoseconds of CLOCK_MONOTONIC, in which library."""

    ranks: Mapping[int, str]
    began: int
    ended: int
    library: Path = Path()


class Event(NamedTuple):
    """A probed function was entered. `at` is in nanoseconds of CLOCK_MONOTONIC, the same for all processes."""

    at: int
    kind: str
    pid: int
    tid: int
    numbers: Mapping[str, int]
    text: str = ""


class Decoded(NamedTuple):
    """Events in the order of their time. `lost` did not fit the kernel's memory; `bad` lines could not be read.

    `counts` says how often each kind came about; of those that are remembered only the last are among the events.
    """

    events: tuple[Event, ...]
    lost: int
    bad: int
    counts: Mapping[str, int]


Look = Callable[[Decoded, Scope, Mapping[str, int]], tuple[Event, ...]]


class ProbeSet(msgspec.Struct, frozen=True):
    """A question to a running framework.

    `libraries` are names of the files that may hold the functions, the first that a process has mapped is taken.
    `offsets` derives placeholders from the library's code, None where it cannot. `look` adds what can be seen in the
    processes when the trace has ended. `judge` is pure.
    """

    name: str
    summary: str
    libraries: tuple[str, ...]
    probes: tuple[Probe, ...]
    judge: Callable[[Decoded, Scope], TraceResult]
    offsets: Callable[[Library], Mapping[str, int] | None]
    proves: str = ""  # id of a cause
    look: Look | None = None
