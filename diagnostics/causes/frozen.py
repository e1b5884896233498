"""A rank stands still as a whole: frozen by its control group, or stopped by a signal."""

from __future__ import annotations

from diagnostics.analyze.facts import Facts, evidence, names
from diagnostics.analyze.progress import is_frozen, is_stopped
from diagnostics.causes import Case, Cause


def examine(facts: Facts) -> Case | None:
    still = [process for process in facts.processes if is_frozen(process) or is_stopped(process)]
    if not still:
        return None
    case = Case(prior=-1.0)
    case.title = f"{', '.join(names(still))} stands still with all its threads"
    for process in still:
        weight = 4.0 if process is still[0] else 0.0
        if is_frozen(process):
            case.supports(weight, evidence("its control group is frozen", "freezer", [process.rank]))
        else:
            said = "every thread is stopped by a signal or a debugger"
            case.supports(weight, evidence(said, "process states", [process.rank]))
        if unread := sum(link.unread for link in process.connections):
            said = f"{unread} bytes that its kernel has acknowledged lie unread"
            case.supports(0.5 if process is still[0] else 0.0, evidence(said, "TCP_INFO", [process.rank]))
    return case


CAUSE = Cause(
    id="frozen",
    family="frozen",
    title="A rank stands still with all its threads",
    examine=examine,
    not_to_be_taken_for=(
        "A rank whose threads all sleep is idle, not frozen."
    ),
    versions="any",
    remedy=(
        "Thaw it: docker unpause, or write 0 to cgroup.freeze (THAWED to freezer.state); kill -CONT for a stopped one",
        "Look for who froze it: a snapshot, a migration, a node that is being drained, a shell's job control",
    ),
    references=("https://docs.kernel.org/admin-guide/cgroup-v2.html", "https://docs.docker.com/reference/cli/docker/container/pause/"),
)
