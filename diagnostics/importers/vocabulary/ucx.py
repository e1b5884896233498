"""UCX: what its network cards report. Wordings: `src/uct/ib`, `src/ucp/core/ucp_worker.c`, releases 1.2 to 1.17."""

from __future__ import annotations

from diagnostics.importers.vocabulary.base import row
from diagnostics.model import FactKind

ROWS = (
    row(
        FactKind.CONNECTION_LOST, "retry count exceeded",
        r"(?:Error on |ERROR |FATAL: )?.*?(?P<what>Transport retry count exceeded(?: on (?P<device>\w+:\d+)(?:/\w+)?)?)",
        "a network card[, {device},] sent in vain: {what}",
    ),
    row(
        FactKind.CONNECTION_LOST, "retry counter exceeded",
        r"UCX +ERROR .*?(?P<what>on qp \w+: transport retry counter exceeded)", "a network card sent in vain: {what}",
    ),
    row(
        FactKind.CONNECTION_LOST, "endpoint timeout was not handled",
        r"UCX +ERROR .*?(?P<what>Endpoint timeout was not handled for ep \w+(?: - (?P<device>\S+))?)",
        "the other end did not answer a network card[, {device}]: {what}",
    ),
)  # fmt: skip
