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
    by_local = {connection.local: process.rank for process in processes for connection in process.connections}

    def named(process: Process, connection: Connection) -> Connection:
        port = connection.remote.rpartition(":")[2]
        known = by_local.get(connection.remote) or by_address.get(connection.remote)
        peer = known or by_port.get((process.host, port), "")
        return msgspec.structs.replace(connection, peer=peer)

    def with_peers(process: Process) -> Process:
        connections = tuple(named(process, connection) for connection in process.connections)
        peers = {f"{one.local} -> {one.remote}": one.peer for one in connections if one.peer}
        calls = tuple(
            msgspec.structs.replace(call, peer=peers[call.what]) if call.what in peers else call
            for call in process.blocking_calls
        )
        return msgspec.structs.replace(process, connections=connections, blocking_calls=calls)

    return tuple(map(with_peers, processes))
