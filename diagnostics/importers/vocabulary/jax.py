"""JAX and XLA: the distributed service, rendezvous of collectives, watchdogs of thunks.

Wordings: `xla/service/rendezvous.cc` and `collective_ops_utils.h`, `xla/pjrt/distributed/client.cc`, `service.cc`,
`xla/backends/gpu/runtime/*`, `jax/_src/distributed.py` of 2021 to 2026.
"""

from __future__ import annotations

from diagnostics.importers.vocabulary.base import row
from diagnostics.model import FactKind

ROWS = (
    row(
        FactKind.ABSENT, "threads to join the rendezvous",
        r"(?:(?:waiting|timeout) for `(?P<what>[^`;]{0,120})[^`]*` (?:for|of) (?P<seconds>\d+) ?s\w* .*?)?"
        r"Expected (?P<expected>\d+) threads to join the rendezvous, but (?:only|not all) ?(?P<joined>\d+)? of them arrived on time",
        "{joined} of {expected} threads came to the rendezvous[ of {what}][ within {seconds} s]: the others are missing",
    ),
    row(
        FactKind.STUCK, "threads joined the rendezvous",
        r"(?:waiting for `(?P<what>[^`;]{0,120})[^`]*` for (?P<seconds>\d+) .*?)?All (?P<expected>\d+) threads joined the rendezvous, "
        r"however the leader has not marked",
        "all {expected} threads came to the rendezvous[ of {what}], and its leader is stuck in it",
    ),
    row(
        FactKind.STUCK, "may be stuck",
        r"This thread has been waiting for (?P<ms>\d+)ms (?:for )?and may be stuck: (?:participant )?(?P<what>.{0,60}?)"
        r"\{(?:rank=(?P<rank>\d+)|.*?device_ordinal=(?P<device>\d+))?.{0,300}",
        "a participant[ of rank {rank}][ on device {device}] ({what}) has waited for {ms} ms for the others of a collective",
    ),
    row(
        FactKind.STUCK, "may be stuck",
        r"waiting for (?P<what>.{0,160}?)(?: for (?P<seconds>[\d.]+) ?s\w*)? and may be stuck",
        "a thread waits for {what}[, for {seconds} s by now]",
    ),
    row(
        FactKind.STUCK, "termination timeout",
        r"Termination timeout (?:for )?(?:`(?P<what>[^`]{0,120}).{0,400}?`? )?(?:of )?(?P<seconds>\d+) seconds exceeded",
        "the rendezvous[ of {what}] was given up after {seconds} s",
    ),
    row(
        FactKind.HEARTBEAT_LOST, "jax distributed service detected fatal errors",
        r"JAX distributed service detected fatal errors", "the distributed service of JAX lost a task, and ends the others",
    ),
    row(
        FactKind.NOT_JOINED, "pjrt_client_connect",
        r"Barrier timed out[.:] (?:Id: )?(?P<barrier>PjRT_Client_Connect)(?:.*timed out tasks (?P<ranks>[\d, .]+))?",
        "the barrier at which all processes meet ({barrier}) timed out[; missing: {ranks}]",
    ),
    row(
        FactKind.NOT_JOINED, "connecting to jax distributed service on",
        r"Connecting to JAX distributed service on (?P<host>[\w.:\[\]-]+):(?P<port>\d+)", "joins the job at {host}:{port}",
    ),
    row(
        FactKind.NOT_JOINED, "getkeyvalue() timed out",
        r"(?:GetKeyValue\(\) timed out with key: (?P<key>\S+) and duration: (?P<limit>\w+))",
        "nobody set the key {key} of the distributed service within {limit}",
    ),
    row(
        FactKind.DEVICE, "did not complete within",
        r"(?P<what>.{0,120}(?:thunk|[Ee]xecution|program|stream|kernel).{0,80}did not complete within (?P<limit>[\w.]+).{0,80})",
        "the device does not get on: {what}",
    ),
    row(
        FactKind.DEVICE, "async event error",
        r"(?:NCCL|RCCL).{0,20}async\w* (?:event )?error:? ?(?P<what>.{0,120})", "NCCL reported an error: {what}",
    ),
)  # fmt: skip
