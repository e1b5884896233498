"""A child's output fills the pipe to its parent, and the parent waits for the child to end before it reads.

What carries the cause: the kernel says that the child waits to write into a pipe (`pipe_write`), and its parent waits
for the child's end.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.analyze.thread_waits import For, waits_of
from diagnostics.causes.base import Case, Cause, Remedy
from diagnostics.model import Process

_WRITES = ("write", "__write", "__GI___write", "__libc_write", "__GI___libc_write", "os_write")


def examine(facts: Facts) -> Case | None:
    for parent in facts.processes:
        waiting = [wait for wait in waits_of(parent) if wait.waits is For.CHILD and not wait.limited]
        children = [child for child in facts.processes if child.rank.startswith(f"child/{parent.rank}/")]
        writing = [child for child in children if _writes(child)]
        if waiting and writing:
            return _case(parent, waiting[0].at, writing[0])
    return None


def _case(parent: Process, at: str, child: Process) -> Case:
    case = Case("subprocess-pipe-full")
    said = f"{parent.rank} waits for a child process to end: {at}"
    case.saw("parent-waits", said, "stacks", [parent.rank])
    if call := _stuck_in_pipe(child):
        case.saw("child-in-pipe", f"that child waits to write into a full pipe ({call})", "kernel", [child.rank])
    else:
        case.saw("child-writes", "that child is in write()", "stacks", [child.rank])
        case.needs("whether it writes into a pipe: the child's /proc/PID/wchan (attach to both), or ls -l /proc/PID/fd")
    return case


def _stuck_in_pipe(child: Process) -> str:
    """The kernel function that its threads sleep in, at both looks; "" for another or none."""
    calls = [{thread.wchan for thread in sample.threads if "pipe_write" in thread.wchan} for sample in child.samples]
    always = set.intersection(*calls) if calls else set()
    return next(iter(always), "")


def _writes(child: Process) -> bool:
    return bool(_stuck_in_pipe(child)) or any(
        thread.frames and thread.frames[-1].function in _WRITES for thread in child.threads
    )


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
            "communicate",
            "Use communicate(), or subprocess.run(capture_output=True), in place of wait() and read()",
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
