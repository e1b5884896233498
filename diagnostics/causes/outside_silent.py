"""A program waits for data from outside of the job, and none comes: a pipe, a FIFO, a socket, a terminal.

The name of what it reads is all that the evidence holds; who should write is not part of the job. What carries the
cause: the thread that gets the work on stands in a read without a limit, not in a wait for another rank.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.analyze.family import TOGETHER, has_ended
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.input_stall import opens
from diagnostics.causes.observe import (
    At,
    call_of,
    children_of,
    look_at_stillness,
    main_at,
    may_be_stuck,
    reads_silent_file,
    threads_at,
)
from diagnostics.causes.pipes import hands_over
from diagnostics.model import Process, Role, WaitKind

_FROM_OUTSIDE = (WaitKind.PIPE, WaitKind.SOCKET, WaitKind.WORLD, WaitKind.TERMINAL)
_OTHER = (
    *TOGETHER, Role.SERVE, Role.EVENT_LOOP, Role.TEARDOWN, Role.SPAWN, Role.DEBUGGER, Role.INPUT_NEXT, Role.POOL_WAIT,
    Role.FILE_LOCK, Role.DEVICE, Role.DEVICE_LAUNCH,
)  # fmt: skip


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process, facts) for process in facts.processes if may_be_stuck(process))


def _examine_process(process: Process, facts: Facts) -> Case | None:
    main = main_at(process)
    if main is None or not main.forever or main.position.has(*_OTHER):
        return None
    if main.position.waits not in _FROM_OUTSIDE and not reads_silent_file(main):
        return None
    call = call_of(process, main.thread.tid)
    alone = bool(call and call.kind in ("pipe", "socket") and " -> " not in call.what and call.others == (process.pid,))
    if alone and (hands_over(main) or any(map(has_ended, children_of(process, facts)))):
        return None  # `helper-process-dead`
    if call and not (call.call.startswith(("read", "recv", "open", "pread")) or opens(main)):
        return None
    case = Case("outside-silent")
    where = [process.rank]
    waits = main.position.waits_for or main.position.waits.words
    case.title = f"{process.rank} waits for data from outside that does not come: {main.where}"
    case.saw("reads", f"waits for {waits}: {main.where}", "stacks, kernel", where)
    if opens(main):
        case.saw("opens", "it waits in open() for another end, at every sample", "samples", where)
    elif alone:
        case.title = f"{process.rank} reads from a pipe whose other end only it itself has open: {main.where}"
        case.saw("nobody-writes", "no other process has the other end of that pipe open", "open files", where)
        if others := [at for at in threads_at(process) if at.thread is not main.thread]:
            case.saw("other-thread", f"another thread may write into it: {others[0].where}", "stacks", where)
    elif call and call.peer == process.rank:
        case.saw("from-known", "it serves the other end itself", "connections", where)
    elif _from_known(main, facts):
        case.saw("from-known", "a process of the job has the other end", "open files, connections", where)
    elif call:
        case.saw("from-outside", "no process of the job has the other end", "open files, connections", where)
    look_at_stillness(case, process, [main])
    return case


def _from_known(at: At, facts: Facts) -> bool:
    call = call_of(at.process, at.thread.tid)
    if call is None:
        return bool(children_of(at.process, facts))
    known = {p.pid for p in facts.processes if p.host == at.process.host and p is not at.process}
    return bool(call.peer and call.peer != at.process.rank) or bool(known & set(call.others))


CAUSE = Cause(
    id="outside-silent",
    family="input-stall",
    title="A program waits for data from outside of the job, and none comes",
    examine=examine,
    not_to_be_confused_with=(
        "A server waits for requests by nature. A rank that reads from another rank waits for that one; one whose "
        "helper has ended is `helper-process-dead`."
    ),
    versions="any",
    remedies=(
        Remedy("look-at-source", "Look at what should write: the report names the pipe, file or address"),
        Remedy(
            "read-timeout",
            "Give the read a limit, and raise when it passes: a socket's own timeout, select or poll with one",
        ),
    ),
    references=("https://man7.org/linux/man-pages/man7/fifo.7.html",),
    search_for=("$ cat /proc/4711/wchan", "pipe_read", "    read_samples (learn.py:9)"),
)
