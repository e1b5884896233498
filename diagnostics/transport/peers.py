"""Which process has the other end of a connection. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from diagnostics.model import Connection, Process

_ANYWHERE = ("0.0.0.0", "[::]", "127.0.0.1", "[::1]")


def name_peers(processes: Sequence[Process]) -> tuple[Process, ...]:
    """Say of each connection, and of who waits on it, which of the processes has its other end."""
    serves = [(process, *address.rpartition(":")[::2]) for process in processes for address in process.listens]
    # These say nothing but the port, which is unique on one host only; an address is, everywhere.
    by_port = {(process.host, port): process.rank for process, host, port in serves if host in _ANYWHERE}
    by_address = {f"{host}:{port}": process.rank for process, host, port in serves if host not in _ANYWHERE}
    by_local = {link.local: process.rank for process in processes for link in process.connections}

    def named(process: Process, link: Connection) -> Connection:
        port = link.remote.rpartition(":")[2]
        peer = by_local.get(link.remote) or by_address.get(link.remote) or by_port.get((process.host, port), "")
        return msgspec.structs.replace(link, peer=peer)

    def with_peers(process: Process) -> Process:
        links = tuple(named(process, link) for link in process.connections)
        peers = {f"{link.local} -> {link.remote}": link.peer for link in links if link.peer}
        sleeps = tuple(
            msgspec.structs.replace(sleep, peer=peers[sleep.what]) if sleep.what in peers else sleep
            for sleep in process.blocking_calls
        )
        return msgspec.structs.replace(process, connections=links, blocking_calls=sleeps)

    return tuple(map(with_peers, processes))
