"""ps-lite, the parameter server of MXNet, BytePS and DGL: who registered with the scheduler.

Wordings: `src/van.cc` of ps-lite and of BytePS's fork, with PS_VERBOSE=1 or 2.
"""

from __future__ import annotations

from diagnostics.importers.vocabulary.base import row
from diagnostics.model import FactKind

ROWS = (
    row(
        FactKind.STATUS, "cmd=add_node",
        r"cmd=ADD_NODE, node=\{ role=(?P<role>\w+)(?:, id=\d+)?, ip=(?P<host>[\w.:-]+), port=(?P<port>\d+)",
        "the {role} at {host}:{port} asked the scheduler to let it join",
    ),
    row(
        FactKind.STATUS, "bind to role=",
        r"Bind to role=(?P<role>\w+)(?:, id=\d+)?, ip=(?P<host>[\w.:-]+), port=(?P<port>\d+)",
        "this is the {role}, at {host}:{port}",
    ),
    row(
        FactKind.STATUS, "assign rank=",
        r"assign rank=(?P<number>\d+) to node role=(?P<role>\w+), ip=(?P<host>[\w.:-]+)",
        "the {role} at {host} has joined",
    ),
)  # fmt: skip
