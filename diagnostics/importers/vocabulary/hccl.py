"""Ascend's HCCL: which collective waits for which rank of its group.

Wordings: "EI0002" and its neighbours in the CANN reference of 6.3 to 8.2, `torch_npu` of 2.1 to 2.7.
"""

from __future__ import annotations

from diagnostics.importers.vocabulary.base import row
from diagnostics.model import FactKind

ROWS = (
    row(
        FactKind.TIMED_OUT, "has not received the notify record",
        r"has not received the Notify record from remote rank: \[(?P<remote>\d+|unknown)\](?:.*?tag\[(?P<operation>[A-Za-z]+)_)?"
        r"(?:.*?group:\[(?P<group>[^\]]*)\])?",
        "waited in vain[ in {operation}] for rank {remote} of its group[ {group}]",
    ),
    row(
        FactKind.TIMED_OUT, "fftsplus task timeout",
        r"chipId:(?P<device>\d+).*hccl fftsplus task timeout occurred.*?(?:timeout:(?P<seconds>\w+))?",
        "a collective did not end in time on chip {device}",
    ),
    row(
        FactKind.ERROR, "hdc disconnect",  # also what follows where a hung device is reset
        r"(?:error code is )?(?P<code>507901)?.{0,4}hdc disconnect", "the connection with the device was lost[ ({code})]",
    ),
)  # fmt: skip
