"""The log itself states what happened: who cannot be reached, who has ended, which device or storage failed.

Nothing is concluded beyond the statement. What a failure drags after it (a watchdog that ends its process, a launcher
that ends the rest, a connection that closes because the other end went) counts less than what began it, and nothing
where the beginning is told as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from diagnostics.analyze.facts import Facts
from diagnostics.causes.base import Case, Cause, Remedy
from diagnostics.model import FactKind, LogFact

SHOWN = 4
_CRASHES = frozenset({"SIGKILL", "SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "9", "11", "7", "4", "8"})
_CRASH_CODES = frozenset({"-9", "-11", "-7", "-4", "-8", "137", "139", "135", "132", "136"})
_CRASH_WORDS = re.compile(
    r"died|crashed|signal|killed|evicted|ended badly|node failure|interpreter ended|Segmentation", re.I
)
_AFTERMATH = re.compile(r"SIGTERM|SIGABRT|SIGINT|launcher|shut down|cancelled|engine has died", re.I)
_CARD = re.compile(r"network card|GID|IBV_|mlx5|link.*down|no route to host|network is unreachable", re.I)
_START = re.compile(r"connect|init|start|cluster|rendezvous", re.I)
_OF_DEVICE = re.compile(r"device's memory|CUDA|HIP", re.I)


class Statement(NamedTuple):
    """A fact with who said it. `firm`: it tells what began the trouble, and not what followed."""

    rank: str
    fact: LogFact
    firm: bool


Reads = Callable[[Facts], Iterator[Statement]]


def said(facts: Facts, *kinds: FactKind) -> Iterator[tuple[str, LogFact]]:
    for process in facts.processes:
        for fact in process.facts:
            if fact.kind in kinds:
                yield process.rank, fact


def _ended(facts: Facts) -> Iterator[Statement]:
    if any(not _OF_DEVICE.search(fact.words) for _, fact in said(facts, FactKind.OUT_OF_MEMORY)):
        return
    timed_out = any(True for _ in said(facts, FactKind.TIMED_OUT, FactKind.ABSENT, FactKind.MISMATCH))
    told_to_end = any("told to end" in fact.words for _, fact in said(facts, FactKind.ENDED))
    for rank, fact in said(facts, FactKind.ENDED):
        signal, code = fact.values.get("signal", ""), fact.values.get("exit_code", "")
        crashed = signal in _CRASHES or code in _CRASH_CODES
        named = not signal and not code and not fact.values.get("untold") and bool(_CRASH_WORDS.search(fact.words))
        if crashed or (named and not _AFTERMATH.search(f"{fact.words} {fact.line}")):
            yield Statement(rank, fact, True)
    for rank, fact in said(facts, FactKind.HEARTBEAT_LOST):
        yield Statement(rank, fact, True)
    never_there = {rank for rank, fact in _first_of(facts) if fact.kind is FactKind.NOT_CONNECTED}
    never_there |= {rank for rank, fact in said(facts, FactKind.NOT_JOINED) if "could not be" in fact.words}
    for rank, fact in said(facts, FactKind.CONNECTION_LOST):
        either = "or the network failed" in fact.words  # NCCL itself cannot tell which
        yield Statement(rank, fact, not (timed_out or told_to_end or either or rank in never_there))


def _first_of(facts: Facts) -> Iterator[tuple[str, LogFact]]:
    """What each rank's log said first of its connections: who closes one that was never whole has not lost it."""
    for process in facts.processes:
        first = [one for one in process.facts if one.kind in (FactKind.NOT_CONNECTED, FactKind.CONNECTION_LOST)]
        if first:
            yield process.rank, first[0]


def _not_joined(facts: Facts) -> Iterator[Statement]:
    watched = [fact.values.get("number", "0") for _, fact in said(facts, FactKind.TIMED_OUT, FactKind.STATUS)]
    if any(int(number) > 1 for number in watched) or any(True for _ in said(facts, FactKind.HEARTBEAT_LOST)):
        return
    for rank, fact in said(facts, FactKind.NOT_CONNECTED):
        if not _CARD.search(fact.words) and not (fact.values.get("taken") or "already in use" in fact.words):
            yield Statement(rank, fact, bool(fact.values.get("host")))
    for rank, fact in said(facts, FactKind.NOT_JOINED):
        barrier = fact.values.get("barrier", "")
        if not barrier or _START.search(barrier):
            weak = fact.values.get("role") or "listens" in fact.words or fact.words.endswith("list above")
            yield Statement(rank, fact, not weak)


def _network(facts: Facts) -> Iterator[Statement]:
    for rank, fact in said(facts, FactKind.NOT_CONNECTED, FactKind.DEVICE, FactKind.CONNECTION_LOST):
        if _CARD.search(fact.words):
            yield Statement(rank, fact, True)


def _device(facts: Facts) -> Iterator[Statement]:
    for rank, fact in said(facts, FactKind.DEVICE):
        if not _CARD.search(fact.words):
            yield Statement(rank, fact, True)


def _memory(facts: Facts) -> Iterator[Statement]:
    for rank, fact in said(facts, FactKind.OUT_OF_MEMORY):
        yield Statement(rank, fact, not _OF_DEVICE.search(fact.words))


def _storage(facts: Facts) -> Iterator[Statement]:
    for rank, fact in said(facts, FactKind.STORAGE):
        yield Statement(rank, fact, True)


def _mismatch(facts: Facts) -> Iterator[Statement]:
    for rank, fact in said(facts, FactKind.MISMATCH):
        yield Statement(rank, fact, True)
    for rank, fact in said(facts, FactKind.ABSENT):
        if fact.values.get("tensor"):  # Horovod: the others submitted it, and this rank other ones or none
            yield Statement(rank, fact, True)


def _absent(facts: Facts) -> Iterator[Statement]:
    for rank, fact in said(facts, FactKind.ABSENT):
        if not fact.values.get("tensor"):
            yield Statement(rank, fact, bool(fact.about or fact.values.get("joined")))


def _circle(facts: Facts) -> Iterator[Statement]:
    for rank, fact in said(facts, FactKind.STUCK):
        if fact.values.get("circle"):
            yield Statement(rank, fact, True)


def _input(facts: Facts) -> Iterator[Statement]:
    for rank, fact in said(facts, FactKind.INPUT):
        if re.search(r"loader|shared.memory", fact.words):
            yield Statement(rank, fact, True)


def _examiner(id: str, reads: Reads) -> Callable[[Facts], Case | None]:
    def examine(facts: Facts) -> Case | None:
        statements = list(reads(facts))
        if not statements:
            return None
        case = Case(id)
        firm = [one for one in statements if one.firm]
        best = (firm or statements)[0]
        case.title = best.fact.words
        for statement in (firm or statements)[:SHOWN]:
            about = statement.fact.about or (statement.rank,)
            case.saw("states" if statement.firm else "hints", statement.fact.words, "log", about)
        case.needs("stacks of the ranks that still run, and the log of the one that it is about")
        return case

    return examine


def _cause(family: str, reads: Reads, title: str, remedy: Remedy, not_this: str, reference: str) -> Cause:
    id = f"log-{family}"
    return Cause(
        id=id,
        family=family,
        title=title,
        examine=_examiner(id, reads),
        not_to_be_confused_with=not_this,
        versions="any; the wordings are those of the libraries in diagnostics/importers/vocabulary",
        remedies=(remedy,),
        references=(reference,),
    )


CAUSES = (
    _cause(
        "peer-dead", _ended, "The log says that a process has ended or lost its connection",
        Remedy("look-at-first", "Look at the log of the rank that ended first: what it said last is the cause"),
        "A watchdog that gives up ends its own process, and a launcher ends the others: these ends are consequences.",
        "https://pytorch.org/docs/stable/elastic/errors.html",
    ),
    _cause(
        "peer-startup", _not_joined, "The log says that ranks did not find each other",
        Remedy("check-address", "Check the address and the port, that the rank there runs, and what is between them"),
        "A store that closes in the middle of the training is the end of the process that has it.",
        "https://pytorch.org/docs/stable/distributed.html#initialization",
    ),
    _cause(
        "network-partition", _network, "The log says that the network failed",
        Remedy("check-link", "Look at the links and cards of the hosts that are named: ibstat, ethtool, the switch"),
        "A card also reports errors when the process at the other end has ended.",
        "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html",
    ),
    _cause(
        "device-or-driver", _device, "The log says that a device or its driver failed",
        Remedy("drain-node", "Take the host out, look at its kernel log and nvidia-smi -q, run dcgmi diag"),
        "An error of a kernel that the program itself made, as a failed assertion on the device.",
        "https://docs.nvidia.com/deploy/xid-errors/index.html",
    ),
    _cause(
        "out-of-memory", _memory, "The log says that memory ran out",
        Remedy("less-memory", "Raise the limit, or use less: batch size, number of loader workers, what they keep"),
        "The device's memory is another one than the host's.",
        "https://docs.kernel.org/admin-guide/mm/concepts.html",
    ),
    _cause(
        "filesystem-stall", _storage, "The log says that storage does not answer, or is full",
        Remedy("check-mount", "Look at the mount from another host, and at its server; make room where it is full"),
        "A slow checkpoint is not yet a mount that does not answer.",
        "https://man7.org/linux/man-pages/man5/nfs.5.html",
    ),
    _cause(
        "collective-mismatch", _mismatch, "The log says that ranks called different collectives",
        Remedy("same-order", "Let every rank call the same collectives in the same order, with the same shapes"),
        "A rank that is slow or dead has submitted nothing either, and then lacks all tensors, not some.",
        "https://horovod.readthedocs.io/en/stable/troubleshooting_include.html",
    ),
    _cause(
        "rank-elsewhere", _absent, "The log says that ranks did not come to where the others wait",
        Remedy("dump-absent", "Take the stacks of the ranks that did not come: py-spy dump --pid PID"),
        "A rank that did not come may be dead, slow, or stuck in code of its own.",
        "https://pytorch.org/docs/stable/distributed.html#debugging-torch-distributed-applications",
    ),
    _cause(
        "lock-order", _circle, "The log says that threads wait for each other's locks",
        Remedy("one-order", "Let all threads take these locks in the same order, or use one lock"),
        "Threads that wait for one lock, whose owner is at work elsewhere, are no circle.",
        "https://docs.oracle.com/en/java/javase/21/troubleshoot/troubleshooting-process-hangs-and-loops.html",
    ),
    _cause(
        "dataloader-worker", _input, "The log says that a worker of a data loader ended or failed",
        Remedy("worker-memory", "Raise /dev/shm (docker --shm-size), lower num_workers, set a timeout for the loader"),
        "A loader that is only slow gives its batches late.",
        "https://pytorch.org/docs/stable/data.html#multi-process-data-loading",
    ),
)  # fmt: skip
