"""The state of one rank, by itself: from its recorder, or from outside by whether its position changes. Pure.

Without a recorder a rank that stands still is `unknown` here, with since when: only beside the others (`beside`) is it
told whether what it waits for can come.
"""

from __future__ import annotations

from typing import NamedTuple

from diagnostics.analyze.family import TOGETHER, accepts, serves
from diagnostics.analyze.loops import standing_loop, works_by_the_clock
from diagnostics.analyze.movement import movement, still_since
from diagnostics.analyze.outside import paces_itself
from diagnostics.analyze.progress import (
    Limits,
    has_moved,
    is_closed,
    is_frozen,
    is_server,
    is_stopped,
    judge_by_recorder,
    judge_leaving,
    newest,
    silence_of,
)
from diagnostics.model import Loop, Position, Process, Role, State, WaitKind
from diagnostics.model.rank import RankKind, parse
from diagnostics.redact import redact_text
from diagnostics.stacks.position import is_idle, main_position, pairs

_AT_REST = (Role.DEBUGGER, Role.SERVE)


class Judged(NamedTuple):
    """`since`: seconds that it has been so, -1 where that is not known; `at_least`: a lower bound. `busy`: threads that
    burn CPU in a wait."""

    state: State
    why: str
    since: float = -1.0
    at_least: bool = False
    busy: tuple[int, ...] = ()


def _comes_and_goes(process: Process) -> bool:
    """A rank's child, or a process without a name that had ended before it was looked at."""
    seen = process.flight or any(sample.threads for sample in process.samples)
    rank = parse(process.rank)
    return rank.is_child or (rank.kind is RankKind.PROCESS and not seen)


def judge(process: Process, limits: Limits = Limits()) -> Judged:
    """The state of one rank, and why."""
    flight = process.flight
    leaving = newest(flight, "exit")
    if process.exit_status is not None:
        if process.exit_status == 0 and leaving:
            return Judged(State.FINISHED, "it has ended, as its recorder said that it would")
        if process.exit_status == 0 and not flight:
            return Judged(State.FINISHED, "it has ended, with status 0")
        return Judged(State.DEAD, _how_it_ended(process))
    if process.dump:
        why = f"known from a dump only ({process.dump}): one sample, which does not tell whether it moves"
        return Judged(State.UNKNOWN, why)
    if process.pid <= 0:
        return Judged(State.UNREACHABLE, process.why_not or "nothing is known of it")
    letters = {thread.state for sample in process.samples[-1:] for thread in sample.threads}
    unseen = bool(process.samples) or not process.threads or process.running_after is False
    gone = letters <= {"Z", "X"} if letters else unseen
    if leaving and (gone or leaving.value >= 0):
        why = "its recorder says that it has exited" if gone else "its recorder says that it is done"
        return Judged(State.FINISHED, why)
    if gone and _comes_and_goes(process):
        why = "it has ended, as children do; if somebody waits for it, that is who is stuck"
        return Judged(State.FINISHED, why)
    if gone:
        return Judged(State.DEAD, process.why_not or "its process is gone")
    if not letters:
        return Judged(State.UNKNOWN, "its stacks were read, and no sample was taken of it")
    since, at_least = still_since(process, [position for _, position in pairs(process) if not is_idle(position)])
    if is_stopped(process):
        return Judged(State.HUNG, "stopped by a signal or a debugger: every thread is in state T", since, at_least)
    if is_frozen(process):
        return Judged(State.HUNG, "frozen by its control group", since, at_least)
    if flight and leaving:
        state, why = judge_leaving(silence_of(flight), has_moved(process.samples, limits), limits)
        return Judged(state, why, silence_of(flight))
    if flight and (flight.steps or flight.open) and not is_closed(flight):
        state, why = judge_by_recorder(flight, has_moved(process.samples, limits), limits)
        return Judged(state, why, silence_of(flight))
    return _from_outside(process, limits, since, at_least)


def _from_outside(process: Process, limits: Limits, since: float, at_least: bool) -> Judged:
    if process.tasks_watched and process.tasks_watched.stand and not process.tasks_watched.futures:
        seen = process.tasks_watched.seconds
        why = f"stands in {_where(main_position(process))}{_since(seen, True)}; of its tasks only one that sleeps runs"
        return Judged(State.UNKNOWN, f"{why} ({process.tasks_watched.sleeper})", seen, True)
    moved = movement(process, limits)
    main = main_position(process)
    if (is_server(process.rank) and serves(process)) or (main and main.has(*_AT_REST) and not main.has(*TOGETHER)):
        if moved.words:
            return Judged(State.PROGRESSING, moved.words)
        rests = "a debugger has it" if main and main.has(Role.DEBUGGER) else "serves others, and nobody asks"
        return Judged(State.IDLE, rests, since, at_least)
    if moved.words:
        return Judged(State.PROGRESSING, moved.words)
    if accepts(process):
        return Judged(State.IDLE, "serves whoever connects, and nobody does", since, at_least)
    if process.threads and all(is_idle(position) for _, position in pairs(process)):
        return Judged(State.IDLE, "all its threads are idle by nature", since, at_least)
    if paced := paces_itself(process, limits):
        return Judged(State.PROGRESSING, paced)
    if where := works_by_the_clock(process):
        return Judged(State.PROGRESSING, f"goes round in {where} until a time that it has set itself")
    if standing := standing_loop(process):
        at_least = at_least or standing.loop.asks  # it has gone round before it last slept
        said = f"goes round and round in {_place_of(standing.loop)}{_since(since, at_least)}"
        return Judged(State.UNKNOWN, said, since, at_least, moved.busy)
    busy = f", though it burns CPU there ({len(moved.busy)} threads spin)" if len(moved.busy) > 1 else ""
    busy = ", spinning" if len(moved.busy) == 1 else busy
    why = f"stands in {_where(main)}{busy}{_since(since, at_least)}"
    return Judged(State.UNKNOWN, why, since, at_least, moved.busy)


def _place_of(loop: Loop) -> str:
    asked = f", asking for {redact_text(loop.about)}" if loop.about else ""
    return f"{loop.function} ({loop.file.rpartition('/')[2]}:{loop.line}){asked}"


def _where(main: Position | None) -> str:
    if main is None:
        return "a place that could not be read"
    parts = [main.operation, main.place]
    if main.waits is WaitKind.NOTHING and not main.operation:
        parts = [main.place]
    return ", ".join(dict.fromkeys(filter(None, parts))) or main.waits.words


def _since(seconds: float, at_least: bool) -> str:
    if seconds < 0:
        return ""
    return f" for {seconds:.1f} s" + (" at least" if at_least else "")


def _how_it_ended(process: Process) -> str:
    status = process.exit_status or 0
    if process.out_of_memory:
        return "ended by the kernel at its memory limit"
    return f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
