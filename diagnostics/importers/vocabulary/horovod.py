"""Horovod's stall inspector, in its three forms, and its errors. Ranks that appear only inside a line exist.

Wordings: `operations.cc` of 0.12 to 0.18, `stall_inspector.cc` of 0.18 to 0.28, `response_cache` and `controller.cc`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from diagnostics.importers.vocabulary.base import MOST_RANKS, Block, Said, fact, ranks_in, row
from diagnostics.model import FactKind

ROWS = (
    row(
        FactKind.TIMED_OUT, "one or more tensors were submitted",
        r"One or more tensors were submitted to be reduced, gathered or broadcasted by subset of ranks and are waiting for "
        r"remainder of ranks for more than (?P<seconds>\d+) seconds",
        "some ranks have waited for more than {seconds} s for others to submit the same tensors",
    ),
    row(
        FactKind.MISMATCH, "mismatched",
        r"(?P<what>Mismatched (?:allreduce|allgather|broadcast|reducescatter|alltoall|MPI operations|data types|ranks).{0,200})",
        "{what}",
    ),
    row(
        FactKind.ENDED, "horovod has been shut down",
        r"Horovod has been shut down", "Horovod was shut down: a rank ended or met an error",
    ),
    row(
        FactKind.STUCK, "stall shutdown time",
        r"stall shutdown time of (?P<seconds>\d+) seconds", "ranks were stalled for more than {seconds} s, and Horovod ends",
    ),
    row(
        FactKind.ENDED, "horovod.run",
        r"Process (?P<index>\d+) exit with status code (?P<exit_code>\d+)", "process {index} ended with exit code {exit_code}",
    ),
)  # fmt: skip

_BY_RANK = re.compile(r"\s*(\d+): \[(.+?)(?:\]|$)")
_BY_TENSOR = re.compile(r"(?:^|,? )?([^\s\[\],]+) \[(missing|ready|stalled global) ranks?: ?([\d, ]*)\]?")
_LISTED = re.compile(r"\S \[(?:missing|ready) ranks: \d[\d, ]*\]")
_SHOWN = 3


class Stalled(Block):
    """What follows `Missing ranks:` (each rank with its tensors) or `Stalled ops:` (each tensor with its ranks)."""

    def __init__(self) -> None:
        self._listing = ""
        self._ready: set[str] = set()  # ranks that have come to any tensor

    def feed(self, line: str) -> Iterable[Said]:
        for listing in ("Missing ranks:", "Stalled ranks:", "Stalled ops:"):
            at = line.find(listing)
            if at >= 0:
                self._listing = listing
                line = line[at + len(listing) :]
        if not self._listing and _LISTED.search(line):
            self._listing = "Stalled ops:"  # the paste begins within the list
        if not self._listing:
            return ()
        said = tuple(self._by_tensor(line)) or tuple(self._by_rank(line))
        if not said and line.strip() and not line.lstrip().startswith("["):
            self._listing = ""
        return said

    def _by_rank(self, line: str) -> Iterator[Said]:
        match = _BY_RANK.match(line)
        if match and self._listing != "Stalled ops:":
            tensors = [name.strip(" .") for name in match[2].split(",") if name.strip(" .")]
            yield self._absent([f"worker:{int(match[1])}"], tensors, line)

    def _by_tensor(self, line: str) -> Iterator[Said]:
        found = _BY_TENSOR.findall(line)
        self._ready |= {rank for _, which, ranks in found if which == "ready" for rank in ranks_in(ranks)}
        for name, which, ranks in found:
            if which == "ready":
                absent = _below_the_last(self._ready, ranks_in(ranks))
                others = f"{', '.join(absent)} and any above" if absent else "the others"
                words = f"ranks {ranks.strip()} have submitted {name}, {others} have not"
                yield Said("", fact(FactKind.ABSENT, words, line, absent, tensor=name, came=ranks.strip()))
            else:
                yield self._absent(ranks_in(ranks), [name], line)

    @staticmethod
    def _absent(ranks: Iterable[str], tensors: list[str], line: str) -> Said:
        named = tuple(ranks)
        shown = ", ".join(tensors[:_SHOWN]) + (f" and {len(tensors) - _SHOWN} more" if tensors[_SHOWN:] else "")
        who = ", ".join(named)
        return Said(
            "",
            fact(FactKind.ABSENT, f"{who} has not submitted {shown}", line, named,
                 tensor=tensors[0] if tensors else "", tensors=str(len(tensors))),
        )  # fmt: skip


def _below_the_last(known: Iterable[str], came: Iterable[str]) -> list[str]:
    """Who did not come, as far as the list tells: ranks have numbers from 0 on, and it need not name the last."""
    numbers, there = ({int(rank.rpartition(":")[2]) for rank in ranks} for ranks in (known, came))
    last = max(numbers, default=-1)
    return [f"worker:{number}" for number in range(last + 1) if number not in there] if last < MOST_RANKS else []


BLOCKS = (Stalled,)
