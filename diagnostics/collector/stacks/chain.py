"""The fallback chain of stack collectors for one process. Never blocks longer than their budgets."""

import os
import re
from typing import Dict, List, NamedTuple, Sequence, Tuple

from diagnostics.collector import procfs, stacks
from diagnostics.collector.registry import modules_in
from diagnostics.collector.stacks.base import Attempt, Outputs, Reading, StackCollector, attempt

_EVAL = re.compile(r"\b(_PyEval_EvalFrameDefault|PyEval_EvalFrameEx)\b")
_UNTOUCHABLE = {
    "": "there is no such process",
    "Z": "has ended and waits for its parent to notice (zombie)",
    "X": "has ended",
    "D": "in uninterruptible sleep (D): a tracer would wait with it, so it is never ptraced",
    "T": "stopped by a signal (T): a tracer would set it running again; send SIGCONT first",
    "t": "stopped by another debugger (t): detach that first",
}


class Stacks(NamedTuple):
    """What the chain gave for one process: everything that was tried, and what those said that answered."""

    attempts: Tuple[Attempt, ...]
    outputs: Outputs


def collectors(names: Sequence[str] = ()) -> List[StackCollector]:
    """In the order in which they are tried: Python's frames first, then native ones until one has answered."""
    found = [module.COLLECTOR for module in modules_in(stacks) if hasattr(module, "COLLECTOR")]
    return sorted((one for one in found if not names or one.name in names), key=lambda one: one.order)


def why_untouchable(pid: int) -> str:
    """Why no tracer may stop this process; "" where it may."""
    return _UNTOUCHABLE.get(procfs.settled_state(pid), "") or why_denied(pid)


def why_denied(pid: int) -> str:
    """Which right is missing to read a process of another user; "" for none."""
    owner, us = procfs.uid_of(pid), os.geteuid()
    if us == 0 or owner in (us, -1):
        return ""
    return "not permitted: it belongs to uid %d, we are uid %d; run as that user or root (CAP_SYS_PTRACE)" % (owner, us)


def stacks_of(pid: int, budget: float, chosen: Sequence[StackCollector]) -> Stacks:
    """Try them in order, each for at most `budget` seconds."""
    attempts: List[Attempt] = []
    outputs: Dict[str, Reading] = {}
    native = False
    for one in chosen:
        if (native and not one.merged) or (one.blocked and procfs.settled_state(pid) != "D"):
            continue
        reason = why_untouchable(pid)
        read = one.gentle if reason else one.read
        if read is None or not procfs.exists(pid) or why_denied(pid):
            attempts.append(Attempt(one.name, False, why_not=reason))
            continue
        tried, reading = attempt(one.name, read, pid, budget)
        attempts.append(tried)
        if not tried.ok:
            continue
        outputs[one.name] = reading
        if one.merged:
            break
        if one.native:
            native = True
            # An interpreter whose frames are not known yet: one that reads both may know them.
            if "py-spy" in outputs or not _EVAL.search(reading.text or str(reading.threads)):
                break
    return Stacks(tuple(attempts), outputs)
