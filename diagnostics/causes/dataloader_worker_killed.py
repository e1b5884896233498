"""A DataLoader's worker is gone, and the trainer waits for the batch that it was to bring.

PyTorch asks every five seconds whether its workers live, and is told so of one whose end somebody else has collected.
What carries the cause: the trainer waits for a batch, and of its workers none is left, or none works on one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from diagnostics.analyze.facts import Facts, names
from diagnostics.analyze.thread_waits import short
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.model import Process, State, Thread
from diagnostics.stacks.prefix_tree import main_thread


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process, facts) for process in facts.processes)


def _examine_process(process: Process, facts: Facts) -> Case | None:
    main = main_thread(process)
    if process.state in (State.PROGRESSING, State.FINISHED) or main is None or not _passes(main, "_try_get_data"):
        return None
    case = Case("dataloader-worker-killed")
    where = [process.rank]
    case.saw("waits", "the trainer waits for a batch of its DataLoader's workers", "stacks", where)
    children = [child for child in facts.processes if child.rank.startswith(f"child/{process.rank}/")]
    if not process.samples:
        case.needs("the workers: attach to the trainer, which looks at its children as well")
        return case
    _look_at_workers(case, process, children)
    if process.state is State.HUNG:
        case.saw("hung", "it is silent for longer than its history allows", "recorder", where)
    return case


def _look_at_workers(case: Case, process: Process, children: Sequence[Process]) -> None:
    unread = [child for child in children if not child.threads and child.state is not State.FINISHED]
    workers = [child for child in children if (thread := main_thread(child)) and _passes(thread, "_worker_loop")]
    busy = [child for child in workers if not _waits_for_work(child)]
    dead = [child for child in children if child.state is State.FINISHED]
    if busy:
        said = "a worker is at work on a batch, or stuck in it"
        case.saw("worker-busy", said, "stacks", names(busy))
    elif unread:
        case.needs(f"stacks of {', '.join(names(unread))}, to see whether it works on a batch")
    elif workers:
        said = "every worker that is left waits to be asked: nobody works on the batch that the trainer waits for"
        case.saw("workers-idle", said, "stacks", names(workers))
    else:
        case.saw("no-worker", "it has no worker left", "processes", [process.rank])
    if dead:
        case.saw("worker-ended", "a child has ended", "processes", names(dead))
    case.needs("how a worker ended: the kernel's log (dmesg) names whom it ended when memory ran out")


def _passes(thread: Thread, function: str) -> bool:
    """Through this function of PyTorch's DataLoader."""
    files = ("dataloader.py", "worker.py")
    return any(
        not frame.native and short(frame) == function and os.path.basename(frame.file) in files
        for frame in thread.frames
    )


def _waits_for_work(worker: Process) -> bool:
    """Its loop polls the queue of indices, and then has only the standard library's frames inside."""
    main = main_thread(worker)
    python = [frame for frame in (main.frames if main else ()) if not frame.native]
    after = [index for index, frame in enumerate(python) if short(frame) == "_worker_loop"]
    inner = [os.path.basename(frame.file) for frame in python[after[-1] + 1 :]] if after else []
    return bool(inner) and set(inner) <= {"queues.py", "connection.py", "selectors.py", "synchronize.py"}


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
