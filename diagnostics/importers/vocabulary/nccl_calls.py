"""NCCL's calls, as NCCL_DEBUG_SUBSYS=COLL logs them: which one a process called last.

Wordings: `ncclEnqueueCheck` in `src/enqueue.cc` of NCCL 2.4 to 2.29, and of RCCL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from diagnostics.importers.vocabulary.base import Block, Said, fact
from diagnostics.model import FactKind

MOST = 1024
_CALL = re.compile(
    r"(?<![\w.-])([\w.-]{1,100}):(\d+):\d+ \[(\d+)\] NCCL INFO ((?:All|Reduce|Broadcast|Send|Recv|Gather|Scatter)\w*): opCount ([0-9a-f]+) .*?"
    r"count (\d+) datatype .*?comm (0x[0-9a-f]+) \[nranks=(\d+)\]"
)


class Calls(Block):
    """The last call of each process, device and communicator. What it waits for may be an earlier one."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, ...], Said] = {}

    def feed(self, line: str) -> Iterable[Said]:
        if " NCCL INFO " not in line or not (call := _CALL.search(line)):
            return ()
        host, pid, device, operation, number, elements, comm, ranks = call.groups()
        key = host, pid, device, comm
        if key in self._last or len(self._last) < MOST:
            words = (
                f"process {pid} on {host}, device {device}: the last call of its communicator of {ranks} ranks was "
                f"{operation} 0x{number} of {elements} elements"
            )
            self._last[key] = Said("", fact(FactKind.STATUS, words, line, operation=operation, host=host, pid=pid))
        return ()

    def finish(self) -> Iterable[Said]:
        return tuple(self._last.values())


BLOCKS = (Calls,)
