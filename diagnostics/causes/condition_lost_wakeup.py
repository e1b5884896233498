"""Every thread of a process waits for another thread of it: the notification has been, or nobody is left to send
it.

What carries the cause: all threads that are not idle by nature wait for conditions, queues or each other's end,
without a timeout, and none for anything outside of the process. Then only a signal could ever move it.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts, names
from diagnostics.analyze.family import TOGETHER, has_ended
from diagnostics.analyze.wait_graph import rank_in
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import (
    INSIDE,
    At,
    children_of,
    is_forked,
    is_python,
    look_at_stillness,
    main_at,
    may_be_stuck,
    nobody_comes,
    only_thread,
    peers,
    threads_at,
    unread_threads,
)
from diagnostics.model import Process, Role, State, WaitKind
from diagnostics.stacks.position import pairs

_NOT_ALONE = (
    Role.COLLECTIVE, Role.RENDEZVOUS, Role.STEP, Role.SERVE, Role.INPUT_NEXT, Role.INPUT_MAKE, Role.DEVICE,
    Role.DEVICE_LAUNCH, Role.EVENT_LOOP, Role.IN_LOOP, Role.OPERATION, Role.CALLBACK,
)  # fmt: skip
"""Who has one of these waits for more than another thread of its own."""


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process, facts) for process in facts.processes if may_be_stuck(process))


def _examine_process(process: Process, facts: Facts) -> Case | None:
    threads = threads_at(process)
    waiting = [at for at in threads if at.position.waits is WaitKind.CONDITION and at.forever]
    if not waiting or any(at.position.has(*_NOT_ALONE) for at in threads):
        return None
    if only_thread(process) and not is_python(waiting[0]) and is_forked(process, facts):
        return None  # a pool that a fork did not copy
    if _asks_others(waiting) and any(wait.rank == process.rank != rank_in(wait.on) for wait in facts.waits):
        return None  # another process of the program is to notify it, and stands elsewhere
    if any(at.position.has(Role.BARRIER) for at in waiting):
        return None  # `barrier-short`: whoever is to come there has left, or stands elsewhere
    case = Case("condition-lost-wakeup")
    where = [process.rank]
    case.saw("waits", f"waits for a notification without a timeout: {waiting[0].where}", "stacks", where)
    if ended := [child for child in children_of(process, facts) if has_ended(child)]:
        said = "a process that it started has ended: it may have been the one to come"
        case.saw("child-ended", said, "processes", names(ended))
    if not any(at.position.place for at in waiting):
        said = "the stack has the wait alone: whose it is, and what it is for, is not told"
        case.saw("nobody-named", said, "stacks", where)
    outside = [at for at in threads if at.position.waits not in INSIDE or at.position.limited]
    if outside and not unread_threads(process) and _clock_alone(process, waiting, outside):
        said = f"what moves works by the clock, and has gone round without a notification: {outside[0].where}"
        case.saw("by-the-clock", said, "stacks, samples", where)
    elif outside or unread_threads(process):
        other = outside[0].where if outside else "a thread without a stack"
        case.saw("other-thread", f"another thread may still notify: {other}", "stacks", where)
    else:
        who = f"all {len(threads)} threads wait for one another" if len(threads) > 1 else "its only thread waits"
        if len(threads) == 1:
            case.title = f"{process.rank} waits for a notification that came too early, or that nobody is left to send"
        case.saw("all-wait-inside", f"{who}, none for the outside world", "stacks", where)
    tasks = [at for at in threads if at.position.has(Role.POOL_TASK)]
    if tasks and all(at.position.has(Role.POOL_WAIT) for at in tasks):
        case.saw("pool-waits-for-itself", "tasks of a pool wait for other tasks of it", "stacks", where)
    elif any(at.position.has(Role.POOL_WAIT) for at in threads) and not tasks and not _has_workers(process):
        case.saw("pool-elsewhere", "it waits for a pool whose workers are no threads of it", "stacks", where)
    if any(at.position.has(Role.TEARDOWN) for at in threads):
        case.saw("tears-down", "it is on its way out", "stacks", where)
    in_a_step = process.state is State.HUNG and process.flight  # as its recorder says
    if not in_a_step and _sleeps_by_design(process, threads):
        said = "the main thread waits on an event, as programs do that have done their work or end by a signal"
        case.saw("by-design", said, "stacks", where)
    others = [other for other in peers(facts) if other is not process and _waits_for_peers(other)]
    if others and process in peers(facts):
        said = "other ranks wait for ranks: what holds the job up may lie between them"
        case.saw("others-wait-for-ranks", said, "stacks", names(others))
    look_at_stillness(case, process, waiting)
    return case


def _clock_alone(process: Process, waiting: list[At], outside: list[At]) -> bool:
    """Whether it waits beside a thread that only reports, or several for one another beside such that go round."""
    if process.state is not State.HUNG or _takes_what_comes(process):
        return False
    return all(at.reports for at in outside) or (len(waiting) > 1 and nobody_comes(process, waiting))


def _takes_what_comes(process: Process) -> bool:
    """What one waits for alone, at a queue or an event, a thread by the clock may bring when its time comes."""
    main = main_at(process)
    return main is None or main.position.operation.startswith("Event.") or main.position.has(Role.QUEUE_GET)


def _asks_others(waiting: list[At]) -> bool:
    return any(at.position.has(Role.SHARED) for at in waiting)


def _waits_for_peers(process: Process) -> bool:
    main = main_at(process)
    return main is not None and main.position.has(*TOGETHER)


def _has_workers(process: Process) -> bool:
    return any(position.has(Role.POOL_TASK) for _, position in pairs(process))


def _sleeps_by_design(process: Process, threads: tuple[At, ...]) -> bool:
    """The main thread waits on an event, as a program does that a signal ends; its pools may rest without work."""
    main = main_at(process)
    operation = main.position.operation if main else ""
    queues = [at for at in threads if at.position.has(Role.QUEUE_GET, Role.QUEUE_PUT, Role.POOL_WAIT)]
    return operation.startswith("Event.") and not queues


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
            "give-slots-back",
            "Take a slot of a semaphore by `with`, so that an exception gives it back as well",
            only="python",
            at=("Semaphore.acquire",),
        ),
        Remedy(
            "pass-failure-on",
            "Let the thread that fills a queue put its exception, or a last mark, into it before it ends",
            only="python",
            at=("Queue.get",),
        ),
        Remedy(
            "wait-for-state",
            "Wait for a state, not for the notification: condition.wait_for(predicate), or `while not predicate: "
            "wait()`",
            only="python",
        ),
        Remedy(
            "predicate",
            "Wait for a state, not for the notification: condition_variable::wait(lock, predicate), or a loop around "
            "pthread_cond_wait",
            only="compiled",
        ),
        Remedy("notify-under-lock", "Change the state and notify under the same lock"),
        Remedy(
            "use-queue",
            "Use queue.Queue in place of a condition of your own; give waits a timeout and say when it passes",
            only="python",
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
