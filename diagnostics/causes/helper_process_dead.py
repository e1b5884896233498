"""A rank waits for what a helper process was to send, and the helper has ended.

Queues of multiprocessing do not notice: whoever reads them has the writing end open, too. What carries the cause:
the rank waits at a pipe, a queue or a socket of its own host, a child of it has ended, and nobody else has the
other end. Where no child is known to have ended, only a queue or connection of multiprocessing tells of a helper.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts, names
from diagnostics.analyze.family import has_ended, how_it_ended
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import At, call_of, children_of, look_at_stillness, may_be_stuck, threads_at
from diagnostics.causes.pipes import hands_over
from diagnostics.model import Process, Role, State, WaitKind

_AT_A_PIPE = (WaitKind.PIPE, WaitKind.SOCKET, WaitKind.WORLD)
_ELSEWHERE = (Role.COLLECTIVE, Role.RENDEZVOUS, Role.STEP, Role.SERVE, Role.EVENT_LOOP, Role.INPUT_NEXT, Role.SPAWN)


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process, facts) for process in facts.processes if may_be_stuck(process))


def _examine_process(process: Process, facts: Facts) -> Case | None:
    waiting = [at for at in threads_at(process) if _waits_for_helper(at)]
    children = children_of(process, facts)
    ended = [child for child in children if has_ended(child)]
    alone = [at for at in waiting if _only_itself(at)]
    if not waiting or not (ended or alone):
        return None
    at = (alone or waiting)[0]
    if not ended and not hands_over(at):
        return None  # nothing tells that there has ever been a helper: it reads its own pipe
    case = Case("helper-process-dead")
    case.saw("waits", f"waits for what another process was to send: {at.where}", "stacks", [process.rank])
    if ended:
        case.saw("helper-ended", "a process that it started has ended", "processes", names(ended))
    if badly := [child for child in ended if child.exit_status]:
        case.title = f"{badly[0].rank} {how_it_ended(badly[0])}, and {process.rank} waits for what it was to send"
        said = "; ".join(f"{child.rank} {how_it_ended(child)}" for child in badly[:4])
        case.saw("ended-badly", f"it did not end by itself, or with an error: {said}", "exit status", names(badly))
    if alone:
        if not ended:
            case.title = f"{process.rank} waits for data by a pipe whose other end only it itself has open: {at.where}"
        said = "no other process has the other end of that pipe open: nothing can come any more"
        case.saw("nobody-else", said, "open files", [process.rank])
    elif [child for child in children if child not in ended]:
        left = [child for child in children if child not in ended]
        case.saw("helper-left", "another process that it started is there, and may send", "processes", names(left))
    look_at_stillness(case, process, [at])
    return case


def _waits_for_helper(at: At) -> bool:
    if not (at.forever or at.process.state is State.HUNG) or at.position.has(*_ELSEWHERE):
        return False
    call = call_of(at.process, at.thread.tid)
    reads = call is not None and call.kind in ("pipe", "socket") and " -> " not in call.what
    return at.position.waits in _AT_A_PIPE and (at.position.has(Role.QUEUE_GET) or reads)


def _only_itself(at: At) -> bool:
    call = call_of(at.process, at.thread.tid)
    asks = ("read", "recv", "poll", "select") if at.position.has(Role.QUEUE_GET) else ("read", "recv")
    if call is None or " -> " in call.what or not call.call.startswith(asks):
        return False
    return call.kind in ("pipe", "socket") and call.others == (at.process.pid,)


CAUSE = Cause(
    id="helper-process-dead",
    family="helper-process-dead",
    title="A rank waits for what a helper process was to send, and the helper has ended",
    examine=examine,
    not_to_be_confused_with=(
        "A helper that is there and at work is slow, or stuck itself: then look at where it stands. A rank of the job "
        "that has ended is `peer-dead`; a DataLoader's worker is `dataloader-worker-killed`."
    ),
    versions="multiprocessing.Queue, Pipe, SimpleQueue, and pipes of any program",
    remedies=(
        Remedy("why-it-ended", "See why the helper ended: its own log, its exit code, dmesg where memory ran out"),
        Remedy(
            "get-timeout",
            "Take with a limit, and look whether the helper lives: queue.get(timeout=...), is_alive()",
            only="python",
        ),
        Remedy(
            "close-other-end",
            "Close the end of the pipe that a process does not use: then reading ends with the writer",
        ),
    ),
    references=(
        "https://docs.python.org/3/library/multiprocessing.html#multiprocessing.connection.wait",
        "https://docs.python.org/3/library/multiprocessing.html#multiprocessing.Process.sentinel",
    ),
    search_for=(
        "    _recv (multiprocessing/connection.py:399)",
        "    get (multiprocessing/queues.py:103)",
        "    consume (ingest.py:27)",
        "$ ps --ppid 4711   # <defunct>",
    ),
)
