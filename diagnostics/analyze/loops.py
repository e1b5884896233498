"""Loops of Python that get nowhere: that ask for what does not come, or that repeat themselves. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from diagnostics.model import Loop, Position, Process, WaitKind
from diagnostics.redact import redact_text

_AGAIN = 3
"""So often the variables of a loop have to be the same before it is told that it repeats itself."""
_READINGS = 4
"""After so many that all differ a loop gets on."""


class Standing(NamedTuple):
    """A loop in which a thread has been at every sample. `proven`: it is certain that it
    repeats itself."""

    loop: Loop
    proven: bool = False


def standing_loop(process: Process) -> Standing | None:
    """None where it goes round in none, or gets on there.

    A loop that only asks stands as long as its variables are the same. One that computes stands once these have values
    that they had before: as nothing else goes into it, it has to come by these again. The same value within one call
    tells nothing, since a round may take long; values that go and come back do, where nothing is read meanwhile.
    """
    seen = [loop for sample in process.samples for loop in sample.loops]
    if not process.samples[-1:] or not process.samples[-1].loops or len({_key(loop) for loop in seen}) > 1:
        return None
    if not _reads(process) and _returns([state for loop in seen for state in loop.within]) >= _AGAIN:
        return Standing(seen[-1], proven=True)
    sampled = sum(any(loop.states for loop in sample.loops) for sample in process.samples)
    states = [state for loop in seen for state in loop.states]
    if sampled < 2 or not any(loop.states for loop in process.samples[-1].loops):
        return None
    if seen[-1].asks:
        return Standing(seen[-1]) if len(set(states)) == 1 else None
    common, times = Counter(states).most_common(1)[0]
    if times >= _AGAIN and sum(common in loop.states for loop in seen) > 1:
        return Standing(seen[-1], proven=True)
    few = len(states) < _READINGS or 2 * len(set(states)) <= len(states)
    return Standing(seen[-1]) if few else None


def _reads(process: Process) -> bool:
    """Whether bytes have come in: a call may have them, and the next round differs."""
    first, last = process.samples[0], process.samples[-1]
    read = (last.io_bytes - last.io_written) - (first.io_bytes - first.io_written) if first.io_bytes >= 0 else 0
    return read > 0 or last.socket_bytes > first.socket_bytes


def works_by_the_clock(process: Process) -> str:
    """Where it goes round until a time that it has set itself; "" else. It waits for nobody, and comes to an end."""
    loops = process.samples[-1].loops if process.samples else ()
    one = next((loop for loop in loops if loop.until_time), None)
    return f"{one.function} ({one.file.rpartition('/')[2]}:{one.line})" if one else ""


def sleeps_between_rounds(process: Process) -> str:
    """Where a shell works, sleeps, and works again until somebody ends it; "" else."""
    loops = process.samples[-1].loops if process.samples else ()
    one = next((loop for loop in loops if loop.until_ended and not loop.asks and not loop.states), None)
    return f"{one.function} ({one.file.rpartition('/')[2]}:{one.line})" if one else ""


def _returns(states: Sequence[str]) -> int:
    """How often one comes back after another."""
    return sum(state in states[:at] and state != states[at - 1] for at, state in enumerate(states) if at)


def _key(loop: Loop) -> tuple[int, str, str, int]:
    return loop.tid, loop.file, loop.function, loop.line


def in_loop(position: Position, standing: Standing | None, burns: bool) -> Position:
    """A thread in such a loop stands where the loop asks, however deep it is in its calls."""
    if standing is None or position.tid != standing.loop.tid:
        return position
    loop = standing.loop
    about = f"{redact_text(loop.about)}, for which it asks" if loop.about else "what it asks for"
    if loop.makes:
        about = f"{redact_text(loop.about) or 'a file or folder'} to go away, which it tries to make"
    return msgspec.structs.replace(
        position,
        operation=("spinning loop" if burns else "polling loop") if loop.asks else "endless loop",
        function=loop.function,
        file=loop.file,
        line=loop.line,
        own=True,
        waits=WaitKind.NOTHING if burns else WaitKind.TIME,
        waits_for=f"{about} again and again" if loop.asks else "",
        limited=position.limited or loop.limited,
        busy=burns,
    )
