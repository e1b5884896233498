"""JAX, XLA and torch_xla: the distributed service, rendezvous of collectives, watchdogs of thunks.

Wordings: `xla/service/rendezvous.cc` and `collective_ops_utils.h`, `xla/pjrt/distributed/client.cc`, `service.cc`,
`xla/backends/gpu/runtime/*`, `jax/_src/distributed.py` of 2021 to 2026; torch_xla's `mesh_service.cc`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from diagnostics.importers.vocabulary.base import Block, Said, fact, row
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
    row(
        FactKind.NOT_JOINED, "cluster registration failed",
        r"cluster registration failed(?:.*timeout is currently set to: (?P<limit>\w+))?",
        "not all processes registered with the coordination service[ within {limit}]",
    ),
    row(
        FactKind.NOT_JOINED, "coordinationservice/registertask",
        r"while calling /tensorflow\.CoordinationService/(?P<call>RegisterTask)",
        "the coordination service did not answer when the process wanted to join ({call})",
    ),
    row(
        FactKind.CONNECTION_LOST, "failed to meet rendezvous",
        r"Failed to meet rendezvous '(?P<barrier>[^']*)': (?P<what>[\w ]+)",
        "the rendezvous '{barrier}' failed ({what}): the process that serves it has gone, or was not there",
    ),
    row(
        FactKind.ERROR, "exception in device=",
        r"Exception in device=(?P<device>[A-Z]+:\d+): (?P<what>.{1,160})", "on device {device}: {what}",
    ),
)  # fmt: skip

_CAME = re.compile(
    r"participant for device ordinal (\d+), .{0,80}?waiting for all participants to arrive at rendezvous "
    r"RendezvousKey\{run_id=RunId: (\d+), global_devices=\[([\d,]*)\], num_local_participants=(\d+), .{0,80}?op_id=(\d+)\}"
)
_KEPT = 256


class Participants(Block):
    """Each device of a process that came to a collective says so: who says nothing has not come."""

    def __init__(self) -> None:
        self._came: dict[tuple[str, ...], dict[int, str]] = {}

    def feed(self, line: str) -> Iterable[Said]:
        if (came := _CAME.search(line)) and len(self._came) < _KEPT:
            self._came.setdefault((came[2], came[3], came[4], came[5]), {})[int(came[1])] = line
        return ()

    def finish(self) -> Iterable[Said]:
        for (run, devices, local, operation), came in self._came.items():
            there = {int(device) for device in devices.split(",") if device}
            missing = sorted(there - set(came)) if len(there) == int(local) <= _KEPT else []
            if missing:
                absent = ", ".join(f"device {device}" for device in missing)
                words = (
                    f"{len(came)} of {local} devices of the process came to operation {operation} of run {run}; "
                    f"{absent} has not come"
                )
                yield Said("", fact(FactKind.ABSENT, words, next(iter(came.values())), came=str(len(came)),
                                    expected=local, devices=",".join(map(str, missing))))  # fmt: skip


BLOCKS = (Participants,)
