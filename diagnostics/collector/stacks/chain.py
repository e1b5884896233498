"""The ladder of rungs that read stacks, climbed for one process. Never blocks longer than the budgets of its rungs."""

from __future__ import annotations

import os
from collections.abc import Sequence

from diagnostics.collector import procfs
from diagnostics.collector.stacks import eustack, gdb, pyspy, pystack
from diagnostics.collector.stacks.base import Rung, attempt
from diagnostics.collector.stacks.unwinders import Unwinders
from diagnostics.model import Attempt, Record, Thread
from diagnostics.stacks.merge import is_eval, weave_threads


def ladder(unwinders: Unwinders) -> tuple[Rung, ...]:
    """In the order in which they are tried: Python's frames first, then native ones until a rung has answered."""
    return (pyspy.RUNG, unwinders.rung, pystack.RUNG, gdb.RUNG, eustack.RUNG)


RUNGS = ("py-spy", "unwind", "pystack", "gdb", "eu-stack")

_UNTOUCHABLE = {
    "": "there is no such process",
    "Z": "has ended and waits for its parent to notice (zombie)",
    "X": "has ended",
    "D": "in uninterruptible sleep (D): a tracer would wait with it, so it is never ptraced",
    "T": "stopped by a signal (T): a tracer would set it running again; send SIGCONT first",
    "t": "stopped by another debugger (t): detach that first",
}


class Climb(Record, frozen=True):
    """What the ladder gave for one process. `stacks_from` names the rungs whose threads these are."""

    attempts: tuple[Attempt, ...] = ()
    threads: tuple[Thread, ...] = ()
    stacks_from: str = ""

    @property
    def pause(self) -> float:
        return max((tried.pause for tried in self.attempts), default=0.0)

    @property
    def why_not(self) -> str:
        return "" if self.threads else "; ".join(dict.fromkeys(tried.why_not for tried in self.attempts))


def why_untouchable(pid: int) -> str:
    """Why no tracer may stop this process; "" where it may."""
    return _UNTOUCHABLE.get(procfs.settled_state(pid), "") or why_denied(pid)


def why_denied(pid: int) -> str:
    """Which right is missing to read a process of another user; "" for none."""
    owner, us = procfs.uid_of(pid), os.geteuid()
    if us == 0 or owner in (us, -1):
        return ""
    return f"not permitted: it belongs to uid {owner}, we are uid {us}; run as that user or root (CAP_SYS_PTRACE)"


def climb(pid: int, budget: float, rungs: Sequence[Rung]) -> Climb:
    """Try the rungs in order, each for at most `budget` seconds."""
    attempts: list[Attempt] = []
    python: tuple[Thread, ...] = ()
    native: tuple[Thread, ...] = ()
    answered: list[str] = []
    for rung in rungs:
        if native and not rung.merged:
            continue
        reason = why_untouchable(pid)
        read = rung.gentle if reason else rung.read
        if read is None or not procfs.exists(pid) or why_denied(pid):
            attempts.append(Attempt(rung.name, False, 0.0, why_not=reason))
            continue
        tried, threads = attempt(rung.name, read, pid, budget)
        attempts.append(tried)
        if not tried.ok:
            continue
        if rung.merged:
            return Climb(tuple(attempts), _keep_names(threads, python), rung.name)
        answered.append(rung.name)
        if not rung.native:
            python = threads
        elif python or not any(is_eval(frame) for thread in threads for frame in thread.frames):
            return Climb(tuple(attempts), weave_threads(python, threads), "+".join(answered))
        else:
            native = threads  # an interpreter whose frames are not known yet: a rung that reads both may know them
    return Climb(tuple(attempts), native or python, "+".join(answered))


def _keep_names(threads: tuple[Thread, ...], python: tuple[Thread, ...]) -> tuple[Thread, ...]:
    """Names that only Python knows."""
    names = {thread.tid: thread.name for thread in python if thread.name}
    return tuple(_named(thread, names.get(thread.tid, "")) for thread in threads)


def _named(thread: Thread, name: str) -> Thread:
    return Thread(thread.tid, name or thread.name, thread.frames, thread.holds_gil)
