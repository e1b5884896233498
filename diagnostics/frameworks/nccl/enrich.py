"""What NCCL's RAS service says of the communicators of a job that is looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import msgspec

from diagnostics.collector.sources.nccl_ras import PORT
from diagnostics.discover.addresses import host_of
from diagnostics.frameworks.nccl.ras import facts_of
from diagnostics.model import Collection, Process
from diagnostics.stacks.symbols import uses
from diagnostics.transport import Reach, ask, with_told
from diagnostics.transport.reach import Place

SOURCE = "nccl_ras"
GAP = 1.0
SECONDS = 22.0


class _Told(msgspec.Struct, forbid_unknown_fields=True):
    first: str = ""
    second: str = ""
    why_not: str = ""


def look(collection: Collection, reach: Reach) -> Collection:
    """The collection with what the service says, as facts of the process that answered; or why it did not answer."""
    serving = [process for process in collection.processes if process.listens and _uses_nccl(process)]
    if not serving:
        return collection
    told = ask(reach, SOURCE, serving, {"gap": GAP}, _Told, SECONDS)
    ranks = _ranks(collection.processes)

    def with_facts(process: Process, said: _Told) -> Process:
        found = facts_of(said.first, said.second, ranks, GAP) if said.second else ()
        return msgspec.structs.replace(process, facts=(*process.facts, *found))

    reasons = tuple(f"{SOURCE}: {one.why_not}" for one in told.of.values() if one.why_not)
    return with_told(collection, replace(told, left_out=(*reasons, *told.left_out)), with_facts)


def _ranks(processes: Iterable[Process]) -> dict[Place, str]:
    """Names of ranks by process id and by each name of their host: RAS calls a host by an address of its network.

    An address that several hosts have, as those of loopback and bridges, says nothing.
    """
    hosts: dict[str, set[str]] = {}
    for one in processes:
        ends = (*one.listens, *(connection.local for connection in one.connections))
        for name in (one.host, *map(host_of, ends)):
            hosts.setdefault(name, set()).add(one.host)
    names: dict[str, list[str]] = {}
    for name, having in hosts.items():
        if len(having) == 1:
            names.setdefault(min(having), []).append(name)
    return {(name, one.pid): one.rank for one in processes if one.pid > 0 for name in names.get(one.host, ())}


def _uses_nccl(process: Process) -> bool:
    """By its stacks, or where these could not be read, by the address that it serves."""
    return any(address.endswith(f":{PORT}") for address in process.listens) or uses(process, "nccl")
