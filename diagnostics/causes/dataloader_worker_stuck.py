"""A trainer waits for a batch, and the loader's worker that is to bring it stands still in the program's own code.

What carries the cause: the trainer asks a loader for a batch, a child of it is at work on one, and that child waits
for something outside (a file, a pipe, a server, a lock on a file) or sleeps.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.analyze.family import has_ended
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.input_stall import look_at_source, waits_for_others
from diagnostics.causes.observe import At, children_of, look_at_stillness, may_be_stuck, threads_at
from diagnostics.model import Process, Role, WaitKind


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process, facts) for process in facts.processes if may_be_stuck(process))


def _examine_process(process: Process, facts: Facts) -> Case | None:
    asking = [at for at in threads_at(process) if at.position.has(Role.INPUT_NEXT)]
    if not asking:
        return None
    workers = [child for child in children_of(process, facts) if not has_ended(child)]
    makers = [at for child in workers for at in threads_at(child) if at.position.has(Role.INPUT_MAKE)]
    stuck = [at for at in makers if waits_for_others(at) or _takes_lock(at)]
    if not stuck:
        return None
    source = max(stuck, key=lambda at: at.position.own)
    case = Case("dataloader-worker-stuck")
    case.title = f"A loader's worker ({source.process.rank}) does not bring its batch: it stands in {source.where}"
    case.saw("asks", f"waits for its next batch: {asking[0].where}", "stacks", [process.rank])
    if _takes_lock(source):
        said = f"the worker that is to bring it waits for a lock: {source.where}"
        case.saw("source-waits", said, "stacks", [source.process.rank])
        case.saw("forked-lock", "a lock that it may have been forked with", "stacks", [source.process.rank])
    else:
        look_at_source(case, source, threads_at(source.process))
    look_at_stillness(case, process, [asking[0]])
    return case


def _takes_lock(at: At) -> bool:
    return at.position.waits is WaitKind.LOCK and not at.position.limited


CAUSE = Cause(
    id="dataloader-worker-stuck",
    family="dataloader-worker",
    title="A loader's worker stands still in the code that makes a batch, and the trainer waits for it",
    examine=examine,
    not_to_be_confused_with=(
        "A worker that is slow brings its batch in the end. One that waits for a lock of a thread that it has not got "
        "is `fork-with-threads`; where no worker is left it is `dataloader-worker-killed`."
    ),
    versions="any loader whose workers are processes: PyTorch's DataLoader, multiprocessing pools that feed a trainer",
    remedies=(
        Remedy(
            "look-at-worker-source",
            "See why what the worker waits for does not come: the file, pipe, server or lock of its place (above)",
        ),
        Remedy("loader-timeout", "DataLoader(timeout=...) turns the wait into an error that names the loader"),
        Remedy(
            "limit-in-worker",
            "Give every read and request in __getitem__ a limit of time, and raise, retry or skip when it passes",
        ),
    ),
    references=("https://pytorch.org/docs/stable/data.html#multi-process-data-loading",),
    search_for=(
        "    download (dataset.py:14)",
        "    __getitem__ (dataset.py:20)",
        "    fetch (torch/utils/data/_utils/fetch.py:54)",
        "    _worker_loop (torch/utils/data/_utils/worker.py:349)",
    ),
)
