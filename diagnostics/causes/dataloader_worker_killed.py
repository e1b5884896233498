"""A DataLoader's worker is gone, and the trainer waits for the batch that it was to bring.

PyTorch asks every five seconds whether its workers live, and is told so of one whose end somebody else has
collected. What carries the cause: the trainer waits for a batch, and of its workers none is left, or none works on
one.
"""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.analyze.facts import Facts, names
from diagnostics.analyze.family import has_ended
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import children_of, main_at, may_be_stuck, threads_at
from diagnostics.model import Process, Role, State
from diagnostics.stacks.position import is_idle, pairs


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process, facts) for process in facts.processes if may_be_stuck(process))


def _examine_process(process: Process, facts: Facts) -> Case | None:
    asking = [at for at in threads_at(process) if at.position.has(Role.INPUT_NEXT)]
    children = children_of(process, facts)
    brings_itself = any(at.position.has(Role.INPUT_MAKE, Role.CALLBACK) for at in threads_at(process))
    if not asking or brings_itself or not any(_is_loader(at.position.operation) for at in asking):
        return None
    case = Case("dataloader-worker-killed")
    said = f"the trainer waits for a batch of its loader's workers: {asking[0].where}"
    case.saw("waits", said, "stacks", [process.rank])
    if not process.samples:
        case.needs("the workers: attach to the trainer, which looks at its children as well")
        return case
    _look_at_workers(case, process, children)
    if process.state is State.HUNG:
        case.saw("hung", process.state_why or "it hangs", "samples", [process.rank])
    return case


def _is_loader(operation: str) -> bool:
    """A loader whose workers are processes; a Dataset makes its batches in the same process."""
    return "Loader" in operation


def _look_at_workers(case: Case, process: Process, children: Sequence[Process]) -> None:
    ended = [child for child in children if has_ended(child)]
    unread = [child for child in children if not child.threads and child not in ended]
    workers = [c for c in children if c not in ended and any(p.has(Role.INPUT_MAKE) for _, p in pairs(c))]
    busy = [worker for worker in workers if not _waits_for_work(worker)]
    others = [child for child in children if child not in (*ended, *unread, *workers)]
    if busy:
        main = main_at(busy[0])
        said = f"a worker is at work on a batch, or stuck in it: {main.where if main else busy[0].rank}"
        case.saw("worker-busy", said, "stacks", names(busy))
    elif unread:
        case.needs(f"stacks of {', '.join(names(unread))}, to see whether it works on a batch")
    elif workers:
        said = "every worker that is left waits to be asked: nobody works on the batch that the trainer waits for"
        case.saw("workers-idle", said, "stacks", names(workers))
    else:
        case.saw("no-worker", "it has no worker left", "processes", [process.rank])
    if others and not busy:
        case.saw("other-child", "a child of it is elsewhere, and may be a worker", "stacks", names(others))
    if ended:
        case.saw("worker-ended", "a child has ended", "processes", names(ended))
    case.needs("how a worker ended: the kernel's log (dmesg) names whom it ended when memory ran out")


def _waits_for_work(worker: Process) -> bool:
    return all(is_idle(position) for _, position in pairs(worker) if position.has(Role.INPUT_MAKE))


CAUSE = Cause(
    id="dataloader-worker-killed",
    family="dataloader-worker",
    title="A DataLoader's worker is gone, and the trainer waits for its batch",
    examine=examine,
    not_to_be_confused_with=(
        "Workers that are at work on a batch may be slow, or stuck in it: then look at their stacks. A DataLoader that "
        "notices the end of a worker raises an error, and does not hang."
    ),
    versions=(
        "PyTorch of any release, in programs that ignore SIGCHLD, replace its handler, or collect the ends of "
        "children that are not theirs (waitpid(-1))"
    ),
    remedies=(
        Remedy(
            "leave-sigchld",
            "Leave SIGCHLD alone: no signal.signal(SIGCHLD, SIG_IGN), and no waitpid(-1), in a process with "
            "DataLoaders",
        ),
        Remedy(
            "memory-of-workers",
            "See why the worker ended: out of memory (fewer workers, a smaller prefetch_factor), or too little "
            "shared memory (a larger /dev/shm: docker run --shm-size)",
        ),
        Remedy("loader-timeout", "DataLoader(timeout=...) turns the wait into an error"),
    ),
    references=(
        "https://pytorch.org/docs/stable/data.html#multi-process-data-loading",
        "https://man7.org/linux/man-pages/man2/waitpid.2.html",
    ),
    scenario="dataloader-worker-killed",
    search_for=(
        "    get (multiprocessing/queues.py:113)",
        "    _try_get_data (torch/utils/data/dataloader.py:1251)",
        "    _next_data (torch/utils/data/dataloader.py:1448)",
        "    __next__ (torch/utils/data/dataloader.py:732)",
    ),
)
