"""NCCL's own lines (NCCL_DEBUG=WARN and INFO), and the report of `ncclras`.

Wordings: `src/debug.cc`, `src/transport/net_ib`, `net_socket`, `src/misc/socket.cc`, `src/ras/client_support.cc` of NCCL
2.7 to 2.29.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from diagnostics.importers.vocabulary.base import Said, fact, row
from diagnostics.model import FactKind

ROWS = (
    row(
        FactKind.DEVICE, "nccl warn cuda failure",
        r"(?:(?P<node>[\w.-]+):(?P<pid>\d+):(?P<tid>\d+) \[(?P<device>\d+)\] )?.*NCCL WARN Cuda failure (?P<what>.{0,120})",
        "NCCL: a call to CUDA failed[ on device {device}]: {what}",
    ),
    row(
        FactKind.NOT_CONNECTED, "nccl warn",
        r"NCCL WARN .*(?:[Cc]onnect(?:ion)? to (?P<host>[\w.:-]+?)(?:<(?P<port>\d+)>)?|No socket interface|Bootstrap) ?.*?"
        r"(?P<what>(?:failed|refused|timed out|No route to host|found).{0,80})",
        "NCCL could not connect[ to {host}][:{port}]: {what}",
    ),
    row(
        FactKind.CONNECTION_LOST, "nccl warn",
        r"NCCL WARN (?!.*Got completion).*(?P<what>Connection closed by remote peer.{0,120}|NET/Socket ?: .{0,140}|Call to .{0,140}failed.{0,60}|"
        r"recv(?:ed)? .{0,80}Connection reset.{0,60})",
        "NCCL lost a connection: {what}",
    ),
    row(
        FactKind.DEVICE, "nccl warn",
        r"NCCL WARN .*(?P<what>(?:Got completion (?:from peer [\w.<>:-]+ )?with (?:error|status=)|.*IBV_WC_|NET/IB.*async event|"
        r"Port error|GID table change).{0,160})",
        "NCCL: the network card failed: {what}",
    ),
    row(
        FactKind.MISMATCH, "nccl warn",
        r"NCCL WARN .*(?P<what>(?:[Mm]ismatch|Message truncated|.*different.*(?:count|size|type)).{0,140})", "NCCL: {what}",
    ),
    row(
        FactKind.DEVICE, "got completion",
        r"Got completion (?:from peer (?P<host>[\w.:-]+)(?:<(?P<port>\d+)>)? )?with (?:error |status=)(?P<status>\S+)(?:.*?\((?P<what>[^)]*)\))?",
        "NCCL: the network card gave a request[ to {host}][:{port}] up with status {status}",
    ),
    row(
        FactKind.ERROR, "nccl warn",
        r"NCCL WARN (?P<what>.{1,240})", "NCCL: {what}",
    ),
)  # fmt: skip

_COUNTS = re.compile(r"\s*Communicator ranks have different (.+?) operation counts|\s*(\w[\w ]*?) operation counts differ")
_UPTO = re.compile(r"\s*(\d+) ranks? ha(?:ve|s) (?:launched up to operation (\d+)|not launched any operations)")
_ONE = re.compile(
    r"\s*Rank (\d+) has (?:launched up to operation (\d+)|not launched any operations)(?: -- (.*))?$"
)
_RANK = re.compile(r"\s*Rank (\d+) -- GPU (\S+) managed by process (\d+) on node (\S+)")
_COMMUNICATOR = re.compile(r"\s*#(\d+-\d+) \(([0-9a-f]+)\) (.*)$")
_DEAD = re.compile(r"\s*Process (\d+) on node (\S+)(?: managing GPUs? ([\d,]+))?(.*)$")
_DEAD_HEAD = re.compile(r"\s*(\d+) (?:job )?process(?:es)? (?:is|are|was|were) (.*)$")


class Ras:
    """The errors and warnings of `ncclras`: which ranks are ahead or behind in which operation, which do not answer."""

    def __init__(self) -> None:
        self._communicator = ""
        self._operation = ""
        self._counted = ""  # operations that the ranks listed next have launched
        self._state = ""  # of the processes listed next

    def feed(self, line: str) -> Iterable[Said]:
        if head := _COMMUNICATOR.match(line):
            self._communicator, self._operation, self._counted, self._state = head[1], "", "", ""
            if head[3].strip() not in ("", "MISMATCH"):
                yield Said("", fact(FactKind.STUCK, f"communicator #{head[1]} is {head[3].strip()}", line, group=head[1]))
        elif counts := _COUNTS.match(line):
            self._operation = counts[1] or counts[2]
            words = f"the ranks of communicator #{self._communicator or '?'} differ in their counts of {self._operation}"
            yield Said("", fact(FactKind.COUNTS, words, line, operation=self._operation, group=self._communicator))
        elif self._operation:
            yield from self._count(line)
        else:
            yield from self._process(line)

    def _count(self, line: str) -> Iterable[Said]:
        if upto := _UPTO.match(line):
            self._counted = upto[2] or "0"
            words = f"{upto[1]} ranks have launched {self._operation} up to number {self._counted}"
            yield Said("", fact(FactKind.COUNTS, words, line, operation=self._operation, number=self._counted,
                                ranks_count=upto[1], group=self._communicator))  # fmt: skip
        elif one := _ONE.match(line):
            yield self._of_rank(one[1], one[2] or "0", one[3] or "", line)
        elif rank := _RANK.match(line):
            where = f"GPU {rank[2]} managed by process {rank[3]} on node {rank[4]}"
            yield self._of_rank(rank[1], self._counted, where, line)

    def _of_rank(self, rank: str, count: str, where: str, line: str) -> Said:
        words = f"rank {rank} has launched {self._operation} up to number {count}" + (f" ({where})" if where else "")
        return Said("", fact(FactKind.COUNTS, words, line, [f"worker:{int(rank)}"], operation=self._operation,
                             number=count, where=where, group=self._communicator))  # fmt: skip

    def _process(self, line: str) -> Iterable[Said]:
        if head := _DEAD_HEAD.match(line):
            self._state = head[2]
            if re.search(r"dead|unreachable|unresponsive|missing|not (?:respond|reach)", head[2]):
                yield Said("", fact(FactKind.HEARTBEAT_LOST, f"{head[1]} process(es) {head[2]}", line))
            else:
                self._state = ""
        elif self._state and (process := _DEAD.match(line)):
            gpu = f" managing GPU {process[3]}" if process[3] else ""
            words = f"process {process[1]} on node {process[2]}{gpu}: {self._state}"
            yield Said("", fact(FactKind.HEARTBEAT_LOST, words, line, pid=process[1], host=process[2],
                                device=process[3] or ""))  # fmt: skip
        elif (missing := _RANK.match(line)) and self._communicator:
            where = f"GPU {missing[2]} managed by process {missing[3]} on node {missing[4]}"
            words = f"rank {missing[1]} of communicator #{self._communicator} is among those reported ({where})"
            yield Said("", fact(FactKind.STUCK, words, line, [f"worker:{int(missing[1])}"], where=where,
                                pid=missing[3], host=missing[4]))  # fmt: skip


BLOCKS = (Ras,)
