"""A rank stands still as a whole: frozen by its control group, or stopped by a signal."""

from __future__ import annotations

from diagnostics.analyze.facts import Facts, names
from diagnostics.analyze.progress import is_frozen, is_stopped
from diagnostics.causes.base import Case, Cause, Remedy


def examine(facts: Facts) -> Case | None:
    still = [process for process in facts.processes if is_frozen(process) or is_stopped(process)]
    if not still:
        return None
    case = Case("frozen")
    case.title = f"{', '.join(names(still))} stands still with all its threads"
    for process in still:
        if is_frozen(process):
            case.saw("frozen", "its control group is frozen", "freezer", [process.rank])
        else:
            said = "every thread is stopped by a signal or a debugger"
            case.saw("stopped", said, "process states", [process.rank])
        if unread := sum(connection.unread for connection in process.connections):
            said = f"{unread} bytes that its kernel has acknowledged lie unread"
            case.saw("unread", said, "TCP_INFO", [process.rank])
    return case


CAUSE = Cause(
    id="frozen",
    family="frozen",
    title="A rank stands still with all its threads",
    examine=examine,
    not_to_be_confused_with=("A rank whose threads all sleep is idle, not frozen."),
    versions="any",
    remedies=(
        Remedy(
            "thaw",
            "Thaw it: docker unpause, or write 0 to cgroup.freeze (THAWED to freezer.state); kill -CONT for a "
            "stopped one",
        ),
        Remedy(
            "who-froze",
            "Look for who froze it: a snapshot, a migration, a node that is being drained, a shell's job control",
        ),
    ),
    references=(
        "https://docs.kernel.org/admin-guide/cgroup-v2.html",
        "https://docs.docker.com/reference/cli/docker/container/pause/",
    ),
)
