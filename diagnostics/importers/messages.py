"""What frameworks say in their logs when ranks wait for each other, as values.

Forms of the lines: PyTorch `ProcessGroupNCCL.cpp` and `ProcessGroupGloo`, Horovod `stall_inspector.cc`, TensorFlow
`master.cc`, `collective` and `input_pipeline` warnings. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from diagnostics.model import Collective

_WORK = re.compile(
    r"\[Rank (\d+)\] Watchdog caught collective operation timeout: ?"
    r"WorkNCCL\(SeqNum=(\d+), OpType=(\w+)(?:, NumelIn=(\d+))?(?:, NumelOut=(\d+))?"
)
_ENQUEUED = re.compile(r"Rank (\d+)\].*last enqueued (?:NCCL )?work: (\d+), last completed (?:NCCL )?work: (-?\d+)")
_GROUP = re.compile(r"\[PG (?:ID )?(\d+)")
_HOROVOD_MISSING = re.compile(r"^(\d+): \[(.+)\]$")

_KNOWN = re.compile(
    "|".join(
        (
            r"Watchdog caught collective operation timeout",
            r"last enqueued (?:NCCL )?work:",
            r"One or more tensors were submitted to be reduced",
            r"^Missing ranks:",
            r"^Stalled (?:ranks|ops):",
            r"^\d+: \[\S",
            r"CreateSession still waiting for response from worker",
            r"Waiting for model to be ready|Timed-out waiting|waiting for the chief to initialize",
            r"DataLoader worker \(pid",
            r"Socket Timeout|Connection closed by peer|Connection reset by peer|recvBytes",
            r"NCCL WARN",
            r"Collective ops is aborted by",
            r"enqueue timeout|Enqueue operation was cancelled|is closed and has insufficient elements",
        )
    )
)


def is_known(line: str) -> bool:
    return bool(_KNOWN.search(line))


def collectives_in(lines: Iterable[str]) -> dict[str, tuple[Collective, ...]]:
    """rank -> the collectives that its watchdog gave up, and the last that it completed."""
    found: dict[str, dict[tuple[str, int], Collective]] = {}
    for line in lines:
        if work := _WORK.search(line):
            group = _GROUP.search(line)
            made = Collective(
                group[1] if group else "", int(work[2]), work[3].lower(), sizes=work[4] or "", state="timed-out"
            )
            found.setdefault(f"worker:{int(work[1])}", {})[made.group, made.seq] = made
    return {rank: tuple(table.values()) for rank, table in found.items()}


def ranks_missing_at(lines: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """rank -> tensors that Horovod's coordinator waits for it to submit; () where it names none."""
    listing, missing = False, {}
    for line in lines:
        if line.startswith("Missing ranks:"):
            listing = True
        elif listing and (row := _HOROVOD_MISSING.match(line)):
            missing[f"worker:{int(row[1])}"] = tuple(row[2].split(", "))
        else:
            listing = False
    return missing
