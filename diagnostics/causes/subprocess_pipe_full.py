"""A child's output fills the pipe to its parent, and the parent waits for the child to end before it reads.

What carries the cause: the kernel says that the child waits to write into a pipe, and its parent waits for the
child's end; or for something else of the child's, such as what it writes into another pipe, while it stands still and
so does not read this one.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import At, call_of, children_of, look_at_stillness, main_at, may_be_stuck, threads_at
from diagnostics.causes.pipes import may_write, other_ends, sleeps_in_write, writes_to_pipe
from diagnostics.model import BlockingCall, Process, Role, State, WaitKind


def examine(facts: Facts) -> Case | None:
    return likeliest(
        _examine_pair(parent, child, facts)
        for parent in facts.processes
        if may_be_stuck(parent)
        for child in children_of(parent, facts)
    )


def _examine_pair(parent: Process, child: Process, facts: Facts) -> Case | None:
    waiting = [at for at in threads_at(parent) if at.position.waits is WaitKind.CHILD and at.forever]
    writing = [at for at in threads_at(child) if writes_to_pipe(at) or may_write(at)]
    main = main_at(child)
    if not writing or (main and main.position.has(Role.TEARDOWN)):
        return None
    call = call_of(child, writing[0].thread.tid)
    if call and call.kind in ("pipe", "file") and parent.pid not in call.others and (call.others or "/" in call.what):
        return None  # somebody else is to read it
    elsewhere = None if waiting else _waits_otherwise(parent, child, call, facts)
    if not waiting and elsewhere is None:
        return None
    case = Case("subprocess-pipe-full")
    if elsewhere:
        case.title = "A child process cannot write on, because its parent waits for it and does not read that pipe"
        said = f"{parent.rank} waits for that child, and stands still: it does not read that pipe: {elsewhere.where}"
        case.saw("parent-waits", said, "stacks", [parent.rank])
        case.saw("reads-another", "it waits for something else than the child's end", "kernel", [parent.rank])
    else:
        said = f"{parent.rank} waits for a child process to end: {waiting[0].where}"
        case.saw("parent-waits", said, "stacks", [parent.rank])
    _look_at_writer(case, writing[0], parent)
    look_at_stillness(case, child, writing[:1])
    return case


def _waits_otherwise(parent: Process, child: Process, call: BlockingCall | None, facts: Facts) -> At | None:
    """Where a parent stands that waits for the child in another way, and alone can read what that writes.

    Two that block each other in reads and writes alone are a circle of pipes.
    """
    main = main_at(parent)
    if main is None or other_ends(main)[0]:
        return None
    alone = call is not None and call.kind == "pipe" and set(call.others) - {child.pid} == {parent.pid}
    waits = any(wait.rank == parent.rank and wait.on == child.rank for wait in facts.waits)
    return main if alone and waits and parent.state is State.HUNG else None


def _look_at_writer(case: Case, at: At, parent: Process) -> None:
    child, call = at.process, call_of(at.process, at.thread.tid)
    if sleeps_in_write(child, at.thread.tid) or (call and call.kind == "pipe"):
        case.saw("child-in-pipe", f"that child waits to write into a full pipe: {at.where}", "kernel", [child.rank])
        if call and parent.pid in call.others:
            case.saw("parent-has-end", "the parent has the other end of that pipe", "open files", [parent.rank])
    else:
        case.saw("child-writes", "that child is in write()", "stacks", [child.rank])
        case.needs("whether it writes into a pipe: the child's /proc/PID/wchan (attach to both), or ls -l /proc/PID/fd")


CAUSE = Cause(
    id="subprocess-pipe-full",
    family="pipe-full",
    title="A child process cannot write on, because its parent waits for its end before it reads",
    examine=examine,
    not_to_be_confused_with=(
        "A child that writes to a pipe whose reader is slow goes on by itself. Here the reader waits for the writer to "
        "end."
    ),
    versions="Any POSIX system; a pipe holds 64 KiB on Linux unless it was set otherwise",
    remedies=(
        Remedy(
            "read-all-pipes",
            "Read all pipes of the child at once, its standard error as well (a task or thread for each), or let it go "
            "to a file, or into the same pipe (stderr=STDOUT)",
            seen="reads-another",
        ),
        Remedy("read-first", "Read the child's output to its end before waiting for the child", only="compiled"),
        Remedy(
            "communicate",
            "Use communicate(), or subprocess.run(capture_output=True), in place of wait() and read()",
            only="python",
        ),
        Remedy("output-to-file", "Or let the output go to a file, or to the log: stdout=None"),
    ),
    references=(
        "https://docs.python.org/3/library/subprocess.html#subprocess.Popen.wait",
        "https://man7.org/linux/man-pages/man7/pipe.7.html",
    ),
    scenario="subprocess-pipe-full",
    search_for=(
        "    _try_wait (subprocess.py:1966)",
        "    _wait (subprocess.py:2024)",
        "    wait (subprocess.py:1264)",
        "$ cat /proc/4712/wchan",
        "anon_pipe_write",
    ),
)
