"""torchrun and torch elastic: which ranks failed, with which exit code or signal, and which failed first.

Wordings: `torch/distributed/elastic/multiprocessing/errors/__init__.py`, `elastic/agent/server/api.py` and
`elastic/multiprocessing/api.py` of PyTorch 1.9 to 2.11; `torch/multiprocessing/spawn.py`.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable

from diagnostics.importers.vocabulary.base import Block, Said, fact, row
from diagnostics.model import FactKind

ROWS = (
    row(
        FactKind.ENDED, "failed (exitcode:",
        r"failed \(exitcode: (?P<exit_code>-?\d+)\) local_rank: (?P<local_rank>\d+) \(pid: (?P<pid>\d+)\)",
        "the process {pid} (local rank {local_rank}) ended with exit code {exit_code}",
    ),
    row(
        FactKind.ENDED, "terminated with the following error",
        r"Process (?P<index>\d+) terminated with the following error", "process {index} of spawn() ended with an error",
    ),
    row(
        FactKind.ENDED, "terminated with signal",
        r"[Pp]rocess (?P<index>\d+) terminated with signal (?P<signal>SIG\w+|\d+)",
        "process {index} of spawn() was ended by {signal}",
    ),
    row(
        FactKind.ENDED, "terminated with exit code",
        r"[Pp]rocess (?P<index>\d+) terminated with exit code (?P<exit_code>-?\d+)",
        "process {index} of spawn() ended with exit code {exit_code}",
    ),
    row(
        FactKind.ENDED, "closing signal",
        r"Sending process (?P<pid>\d+) closing signal (?P<signal>SIG\w+)",
        "the launcher ends process {pid} with {signal}, since another one failed or it was told to",
    ),
    row(
        FactKind.ENDED, "received by pid",
        r"Signal (?P<number>\d+) \((?P<signal>SIG\w+)\) received by PID (?P<pid>\d+)",
        "process {pid} was ended by signal {number} ({signal})",
    ),
    row(
        FactKind.ENDED, "death signal",
        r"(?:Received (?P<what>\S+) death signal|got signal: (?P<signal>\d+))", "the launcher itself was told to end",
    ),
    row(
        FactKind.HEARTBEAT_LOST, "keep-alive heartbeat",
        r"(?P<what>node '[^']*' (?:has failed|.*failed) to send a keep-alive heartbeat.{0,100})", "{what}",
    ),
)  # fmt: skip

_FIELD = re.compile(r"\s+(time|host|rank|exitcode|error_file|traceback)\s*: ?(.*)$")
_ROOT = re.compile(r"\s*Root Cause")
_ENDS = re.compile(r"\s*(?:={8,}|-{8,}|\[\d+\]:)\s*$")


class Summary(Block):
    """`Failures:` and `Root Cause (first observed failure):`, each rank a block of `name : value` lines."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}
        self._first = False

    def feed(self, line: str) -> Iterable[Said]:
        if field := _FIELD.match(line):
            self._fields[field[1]] = field[2].strip()
            return self._said(line) if field[1] == "traceback" else ()
        if _ROOT.match(line):
            self._first = True
        elif not _ENDS.match(line):
            self._fields = {}
        return ()

    def _said(self, line: str) -> Iterable[Said]:
        fields, self._fields = self._fields, {}
        rank = re.match(r"(\d+)", fields.get("rank", ""))
        ended = re.match(r"(-?\d+)(?: \(pid: (\d+)\))?", fields.get("exitcode", ""))
        if not rank or not ended:
            return
        name, code = f"worker:{int(rank[1])}", int(ended[1])
        by = signal_name(-code) if code < 0 else ""
        how = f"was ended by {by}" if by else f"ended with exit code {code}"
        first = ", the first that failed" if self._first else ""
        host = f" on {fields['host']}" if fields.get("host") else ""
        words = f"rank {rank[1]} (pid {ended[2] or '?'}){host} {how}{first}"
        yield Said(
            name,
            fact(
                FactKind.ENDED, words, line, [name], exit_code=str(code), signal=by, pid=ended[2] or "",
                host=fields.get("host", ""), time=fields.get("time", ""), first="yes" if self._first else "",
            ),
        )  # fmt: skip


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


BLOCKS = (Summary,)
