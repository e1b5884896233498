"""The kernel ended a rank because its control group had come to its memory limit."""

from __future__ import annotations

from diagnostics.analyze.facts import Facts, evidence, names
from diagnostics.causes.base import Case, Cause, Remedy
from diagnostics.model import Memory, Process


def _kills(process: Process) -> int:
    groups = [sample.cgroup for sample in process.samples if sample.cgroup]
    return groups[-1].oom_kills if groups else 0


def _size(count: int) -> str:
    """`812 B`, `4.1 kB`, `23.0 MB`."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.5 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _said(memory: Memory) -> str:
    """Its numbers, as far as they are known."""
    known = (("predicted", memory.predicted), ("limit", memory.limit), ("last seen", memory.seen))
    return ", ".join(f"{_size(count)} {name}" for name, count in known if count >= 0)


def examine(facts: Facts) -> Case | None:
    ended = [process for process in facts.processes if process.out_of_memory]
    counted = [process for process in facts.processes if not process.out_of_memory and _kills(process) > 0]
    if not ended and not counted:
        return None
    case = Case("out-of-memory")
    if ended:
        case.title = f"{', '.join(names(ended))} was ended by the kernel at its memory limit"
        case.saw("ended", "ended at its memory limit", "cgroup", names(ended))
        case.evidence += [evidence(said, "memory", [p.rank]) for p in ended if (said := _said(p.memory))]
    if any(process.exit_status == -9 for process in ended):
        case.saw("sigkill", "by SIGKILL", "exit status", names(ended))
    for process in counted:
        said = f"{_kills(process)} processes of its control group were ended at the memory limit; it was not"
        case.saw("counted", said, "memory.events", [process.rank])
    return case


CAUSE = Cause(
    id="out-of-memory",
    family="out-of-memory",
    title="The kernel ended a rank at its memory limit",
    examine=examine,
    not_to_be_confused_with=(
        "SIGKILL alone may come from anybody: without the control group's own count, or what the container engine saw, "
        "it is `peer-dead`."
    ),
    versions="any",
    remedies=(
        Remedy("raise-limit", "Raise the rank's memory limit, or spread its variables over more servers"),
        Remedy(
            "smaller-buffers",
            "Make buffers smaller: shuffle and prefetch sizes, batch size, the number of parallel calls",
        ),
    ),
    references=("https://docs.kernel.org/admin-guide/cgroup-v2.html#memory",),
)
