"""The report of `ncclras`: which ranks are ahead or behind in which operation, which do not answer, which met an error.

Wordings: `src/ras/client_support.cc` of NCCL 2.24 to 2.30, and "RAS" in NCCL's user guide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from diagnostics.importers.vocabulary.base import Block, Said, fact
from diagnostics.model import FactKind

_GROUP = re.compile(
    r"\s*(\d+)\s+(\d+)\s+(\d+)\s+([\d-]+)\s+(\d+)\s+(\d+)\s+(NOCOMM|UNKNOWN|INIT|RUNNING|FINALIZE|ABORT)\s+([A-Z,]+)$"
)
_COMMUNICATOR = re.compile(r"\s*#(\d+-\d+) \(([0-9a-f]+)\) ([A-Z,]+)$")
_COUNTS = re.compile(r"\s*Communicator ranks have different (.+?) operation counts$")
_UPTO = re.compile(r"\s*(\d+) ranks have (?:launched up to operation (\d+)|not launched any operations)$")
_STATUS = re.compile(r"\s*(\d+) ranks have status (\w+)$")
_REPORTED = re.compile(r"\s*(\d+) ranks reported (\w[\w ]*)$")
_SILENT = re.compile(r"\s*Missing communicator data from (\d+) (rank|job process)")
_MISSING = re.compile(r"\s*The missing ranks?: ([\d, ]+)$")
_DEAD = re.compile(r"\s*(\d+) job process(?:es)? (?:is|are) considered dead")
_RANK = re.compile(
    r"\s*Rank (\d+)(?: has launched up to operation (\d+)| has (not) launched any operations| has status (\w+)"
    r"| reported (\w[\w ]*?))? -- (?:\[process information not found\]|GPU (.+?) managed by process (\d+) on node (\S+))$"
)
_PROCESS = re.compile(r"\s*(?:(PEER_\w+): )?Process (\d+) on node (\S+) managing GPUs? (\d[\d,]*)(?: \(NVML [\d,]+\))?")


class _Told(NamedTuple):
    """What is said of the ranks or processes that are listed next."""

    kind: FactKind
    words: str
    number: str = ""


_NOTHING = _Told(FactKind.STUCK, "")
_NO_ANSWER = _Told(FactKind.HEARTBEAT_LOST, "gave no data")
_IS_DEAD = _Told(FactKind.HEARTBEAT_LOST, "is considered dead: NCCL does not reach it any more")


class Ras(Block):
    def __init__(self) -> None:
        self._communicator = ""
        self._operation = ""
        self._told = _NOTHING

    def feed(self, line: str) -> Iterable[Said]:
        if head := _COMMUNICATOR.match(line):
            self._communicator, self._operation, self._told = head[1], "", _NOTHING
        elif group := _GROUP.match(line):
            words = (
                f"{group[6]} ranks in {group[2]} communicator(s) of {group[5]} (group {group[1]}): {group[7]}, "
                f"errors {'none' if group[8] == 'OK' else group[8]}"
            )
            yield Said("", fact(FactKind.COUNTS, words, line, group=group[1], ranks_count=group[6], status=group[7]))
        else:
            yield from self._heading(line)
            yield from self._listed(line)

    @property
    def _where(self) -> str:
        return f" of communicator #{self._communicator}" if self._communicator else ""

    def _heading(self, line: str) -> Iterator[Said]:
        if counts := _COUNTS.match(line):
            self._operation, self._told = counts[1], _NOTHING
            words = f"the ranks{self._where} differ in their counts of {self._operation}"
            yield self._said(_Told(FactKind.COUNTS, words), line)
        elif self._operation and (upto := _UPTO.match(line)):
            self._told = self._launched(upto[2] or "0")
            yield self._said(self._told._replace(words=f"{upto[1]} ranks have {self._told.words[4:]}"), line)
        elif silent := _SILENT.match(line):
            self._told = _NO_ANSWER
            who = "ranks" if silent[2] == "rank" else "processes"
            yield self._said(_Told(FactKind.HEARTBEAT_LOST, f"{silent[1]} {who}{self._where} gave no data"), line)
        elif dead := _DEAD.match(line):
            self._communicator, self._told = "", _IS_DEAD
            yield self._said(_Told(FactKind.HEARTBEAT_LOST, f"{dead[1]} process(es) are considered dead"), line)
        elif status := _STATUS.match(line):
            self._told = _Told(FactKind.STUCK, f"has the status {status[2]}")
            yield self._said(_Told(FactKind.STUCK, f"{status[1]} ranks{self._where} have the status {status[2]}"), line)
        elif reported := _REPORTED.match(line):
            self._told = _Told(FactKind.ERROR, f"reported: {reported[2]}")
            yield self._said(_Told(FactKind.ERROR, f"{reported[1]} ranks{self._where} reported: {reported[2]}"), line)

    def _launched(self, number: str) -> _Told:
        return _Told(FactKind.COUNTS, f"has launched {self._operation} up to number {number}", number)

    def _listed(self, line: str) -> Iterator[Said]:
        if rank := _RANK.match(line):
            if told := self._of_one(rank):
                where = f" (GPU {rank[6]} managed by process {rank[7]} on node {rank[8]})" if rank[7] else ""
                words = f"rank {rank[1]}{self._where} {told.words}{where}"
                yield self._said(told._replace(words=words), line, [f"worker:{int(rank[1])}"], pid=rank[7], host=rank[8])
        elif missing := _MISSING.match(line):
            for number in re.findall(r"\d+", missing[1])[:4096]:
                words = f"rank {number}{self._where} {_NO_ANSWER.words}"
                yield self._said(_NO_ANSWER._replace(words=words), line, [f"worker:{int(number)}"])
        elif process := _PROCESS.match(line):
            told = _IS_DEAD if process[1] == "PEER_DEAD" else self._told
            if told in (_IS_DEAD, _NO_ANSWER):
                words = f"process {process[2]} on node {process[3]} (GPU {process[4]}) {told.words}"
                yield self._said(told._replace(words=words), line, pid=process[2], host=process[3], device=process[4])

    def _of_one(self, rank: re.Match[str]) -> _Told | None:
        """What the line itself says of the rank, else what the heading above it said."""
        if rank[2] or rank[3]:
            return self._launched(rank[2] or "0") if self._operation else None
        if rank[4]:
            return _Told(FactKind.STUCK, f"has the status {rank[4]}")
        if rank[5]:
            return _Told(FactKind.ERROR, f"reported: {rank[5]}")
        return self._told if self._told.words else None

    def _said(self, told: _Told, line: str, about: Iterable[str] = (), **values: str | None) -> Said:
        of_operation = told.kind is FactKind.COUNTS
        named = {name: value or "" for name, value in values.items()}
        return Said("", fact(told.kind, told.words, line, about, number=told.number, group=self._communicator,
                             operation=self._operation if of_operation else "", **named))  # fmt: skip


BLOCKS = (Ras,)
