"""Two processes wait in pipes for each other: each reads what the other does not write, or writes what it does not
read.

What carries the cause: each is blocked in a read or write of a pipe or local socket whose other end the other one
has.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import At, look_at_stillness, may_be_stuck, threads_at
from diagnostics.causes.pipes import other_ends
from diagnostics.model import Role

_NATURAL = (Role.QUEUE_GET, Role.SERVE, Role.EVENT_LOOP, Role.POOL_TASK, Role.INPUT_MAKE, Role.COLLECTIVE)


def examine(facts: Facts) -> Case | None:
    blocked = [at for p in facts.processes if may_be_stuck(p) for at in threads_at(p) if other_ends(at)[0]]
    blocked = [at for at in blocked if at.forever and not at.position.has(*_NATURAL)]
    return likeliest(
        _examine_pair(one, other)
        for index, one in enumerate(blocked[:200])
        for other in blocked[index + 1 : 200]
        if one.process is not other.process and one.process.host == other.process.host and _faces(one, other)
    )


def _faces(one: At, other: At) -> bool:
    return other.process.pid in other_ends(one)[1] and one.process.pid in other_ends(other)[1]


def _examine_pair(one: At, other: At) -> Case:
    case = Case("pipe-circle")
    ways = (other_ends(one)[0], other_ends(other)[0])
    ranks = [one.process.rank, other.process.rank]
    case.title = f"{ranks[0]} and {ranks[1]} wait in pipes for each other"
    for at, way in zip((one, other), ways, strict=True):
        said = f"waits to {way} a pipe whose other end the other has: {at.where}"
        case.saw("waits", said, "kernel, stacks", [at.process.rank])
    if ways == ("write", "write"):
        case.saw("both-write", "both pipes are full, and neither reads", "kernel", ranks)
    elif ways == ("read", "read"):
        case.saw("both-read", "both pipes are empty, and neither writes", "kernel", ranks)
    else:
        case.saw("one-reads", "one reads from the other: it may be another pipe than that one writes", "kernel", ranks)
    look_at_stillness(case, one.process, [one])
    return case


CAUSE = Cause(
    id="pipe-circle",
    family="pipe-full",
    title="Two processes wait in pipes for each other",
    examine=examine,
    not_to_be_confused_with=(
        "A helper that reads its next order, while its parent works, waits by nature: here the parent waits for it as "
        "well. A parent that waits for the child's end, not for its output, is `subprocess-pipe-full`."
    ),
    versions="Any POSIX system; a pipe holds 64 KiB on Linux unless it was set otherwise",
    remedies=(
        Remedy(
            "both-directions", "Read while writing: poll both pipes, or a thread for each direction", only="compiled"
        ),
        Remedy(
            "communicate",
            "Use communicate(), or a thread for each direction: never write all before reading",
            only="python",
        ),
        Remedy(
            "flush", "Where both read: flush after each message, and run the child unbuffered (python -u, stdbuf -oL)"
        ),
        Remedy("close-stdin", "Close the child's standard input once all is written, so that its reading ends"),
    ),
    references=(
        "https://docs.python.org/3/library/subprocess.html#subprocess.Popen.communicate",
        "https://man7.org/linux/man-pages/man7/pipe.7.html",
    ),
    search_for=("$ cat /proc/4711/wchan /proc/4712/wchan", "anon_pipe_write", "anon_pipe_write"),
)
