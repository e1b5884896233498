"""A rank has used up its CPU quota in most periods, and whoever waits for it is slow. Not a hang."""

from __future__ import annotations

from diagnostics.analyze.facts import Facts, names
from diagnostics.analyze.job import THROTTLED, throttled_share
from diagnostics.causes.base import Case, Cause, Remedy
from diagnostics.model import State


def examine(facts: Facts) -> Case | None:
    held = [process for process in facts.processes if throttled_share(process) >= THROTTLED]
    if not held:
        return None
    case = Case("throttled")
    case.title = f"{', '.join(names(held))} is held up by its CPU quota, and those that wait for it are slow"
    for process in held:
        # A rank that is ending has left its control group: the last sample may have none.
        group = next(sample.cgroup for sample in reversed(process.samples) if sample.cgroup)
        said = f"held up by its quota of {group.cpus:g} cores in {throttled_share(process):.0%} of the periods"
        case.saw("throttled", said, "cpu.stat", [process.rank])
    slow = [process for process in facts.processes if process.state is State.SLOW]
    if slow:
        case.saw("slow", "slower than its own history", "recorder", names(slow))
    if facts.hung:
        said = "stands still for longer than that explains"
        case.saw("hung", said, "two samples", names(facts.hung))
    return case


CAUSE = Cause(
    id="throttled",
    family="throttled",
    title="A rank is held up by its CPU quota, and those that wait for it are slow",
    examine=examine,
    not_to_be_confused_with=(
        "Some throttling is normal under a quota; only where a rank has become slow beside it is it the cause. Few "
        "cores without a quota are a busy machine, which is `slow`."
    ),
    versions="any",
    remedies=(
        Remedy(
            "raise-quota",
            "Raise the quota (--cpus, resources.limits.cpu), or take the limit away and leave the request",
        ),
        Remedy("fewer-threads", "Set inter- and intra-op threads to the quota: more threads only use it up sooner"),
    ),
    references=("https://docs.kernel.org/scheduler/sched-bwc.html",),
)
