"""Every thread of a process waits for another thread of it: the notification has been, or nobody is left to send it.

What carries the cause: all threads wait for conditions, queues or each other's end, without a timeout, and none for
anything outside of the process. Then only a signal could ever move it.
"""

from __future__ import annotations

import os

from diagnostics.analyze.facts import Facts
from diagnostics.analyze.thread_waits import For, ThreadWait, short, stood_still, waits_of
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.model import Process, State

_INSIDE = (For.NOTIFY, For.JOIN)


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process) for process in facts.processes)


def _examine_process(process: Process) -> Case | None:
    waits = waits_of(process)
    if process.state in (State.FINISHED, State.IDLE, State.PROGRESSING) or not waits:
        return None
    waiting = [wait for wait in waits if wait.waits is For.NOTIFY and not wait.limited and _in_python(wait)]
    if not waiting:
        return None
    case = Case("condition-lost-wakeup")
    where = [process.rank]
    case.saw("waits", f"waits for a notification without a timeout: {waiting[0].at}", "stacks", where)
    outside = [wait for wait in waits if wait.waits not in _INSIDE or wait.limited]
    if outside or len(waits) < len(process.threads):
        other = outside[0].at if outside else "a thread without a stack"
        case.saw("other-thread", f"another thread may still notify: {other}", "stacks", where)
    else:
        who = f"all {len(waits)} threads wait for one another" if len(waits) > 1 else "its only thread waits"
        case.saw("all-wait-inside", f"{who}, none for the outside world", "stacks", where)
    if process.state is not State.HUNG and _sleeps_by_design(waits):
        said = "the main thread waits on an event, as programs do that have done their work or end by a signal"
        case.saw("by-design", said, "stacks", where)
    _look_at_progress(case, process, waiting)
    return case


def _look_at_progress(case: Case, process: Process, waiting: list[ThreadWait]) -> None:
    where = [process.rank]
    if process.state is State.HUNG:
        case.saw("hung", "it is silent for longer than its history allows", "recorder", where)
    elif all(stood_still(process, wait.thread.tid) for wait in waiting):
        case.saw("not-scheduled", "none of them was scheduled between two looks", "two samples", where)
    if not process.samples:
        case.needs("a second look: attach to the process, or take the dump again after a minute")


def _in_python(wait: ThreadWait) -> bool:
    """Whether it is Python's own condition or queue; a framework's native code waits for more than its process."""
    python = [frame for frame in wait.thread.frames if not frame.native]
    return bool(python) and os.path.basename(python[-1].file) in ("threading.py", "queue.py")


def _sleeps_by_design(waits: tuple[ThreadWait, ...]) -> bool:
    """`threading.Event().wait()` or `Thread.join()`, wherever the main thread calls it from."""
    calls = [short(frame) for frame in waits[0].thread.frames if os.path.basename(frame.file) == "threading.py"]
    return calls.count("wait") > 1 or "join" in calls  # an event's wait calls its condition's


CAUSE = Cause(
    id="condition-lost-wakeup",
    family="lost-wakeup",
    title="All threads wait for one another: a notification was lost, or nobody is left to send it",
    examine=examine,
    not_to_be_confused_with=(
        "A main thread that sleeps on an event until a signal ends the program stands still by design. A thread that "
        "waits for a socket, file or timer may still notify the others."
    ),
    versions="Any program with conditions, events or queues",
    remedies=(
        Remedy(
            "wait-for-state",
            "Wait for a state, not for the notification: condition.wait_for(predicate), or `while not predicate: "
            "wait()`",
        ),
        Remedy("notify-under-lock", "Change the state and notify under the same lock"),
        Remedy(
            "use-queue",
            "Use queue.Queue in place of a condition of your own; give waits a timeout and say when it passes",
        ),
    ),
    references=(
        "https://docs.python.org/3/library/threading.html#condition-objects",
        "https://docs.python.org/3/library/queue.html",
    ),
    scenario="condition-lost-wakeup",
    search_for=(
        'Thread 4711 (idle): "MainThread"',
        "    wait (threading.py:320)",
        "    wait_unchecked (train.py:41)",
        'Thread 4712 (idle): "producer"',
        "    wait (threading.py:320)",
    ),
)
