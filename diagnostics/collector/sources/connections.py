"""TCP connections of processes with their quiet times, from the kernel's sock_diag (struct tcp_info).

One question to the kernel for all processes of a network namespace; never touches a target.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from diagnostics.collector import namespaces
from diagnostics.model import Connection

_TCP_INFO = 1 << 1  # INET_DIAG_INFO in idiag_ext: bit of the attribute's number less one
_STATES = (
    "", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT",
    "LAST_ACK", "LISTEN", "CLOSING",
)  # fmt: skip


class Sockets(NamedTuple):
    """Of one process: its connections, the addresses that it listens on, and both ends of each socket by its inode."""

    connections: tuple[Connection, ...] = ()
    listens: tuple[str, ...] = ()
    ends: Mapping[int, tuple[str, str]] = {}

    @property
    def bytes(self) -> int:
        """Moved over all connections so far."""
        return sum(link.bytes_sent + link.bytes_received for link in self.connections)


def _inodes_of(pid: int) -> set[int]:
    found = set()
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(entry.path)
            except OSError:
                continue
            if target.startswith("socket:["):
                found.add(int(target[8:-1]))
    except OSError:
        return set()
    return found


def _address(host: str, port: int) -> str:
    host = host.removeprefix("::ffff:")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _dump() -> Iterable[Any]:
    # Imported here: it takes longer than all the rest of the program, and most commands look at no socket.
    from pyroute2 import DiagSocket
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with DiagSocket() as kernel:
            kernel.bind()
            for family in (socket.AF_INET, socket.AF_INET6):
                yield from kernel.get_sock_stats(family=family, extensions=_TCP_INFO)
    except (OSError, NetlinkError):
        return  # the kernel does not tell here; that there are no connections in the evidence says so


def _connection(entry: Any) -> Connection:
    info = entry.get_attr("INET_DIAG_INFO") or {}
    sent, received = info.get("tcpi_bytes_sent", 0), info.get("tcpi_bytes_received", 0)
    number = entry["idiag_state"]
    return Connection(
        local=_address(entry["idiag_src"], entry["idiag_sport"]),
        remote=_address(entry["idiag_dst"], entry["idiag_dport"]),
        state=_STATES[number] if number < len(_STATES) else str(number),
        # The kernel's counters start with the connection; where nothing was sent they mean nothing.
        last_sent=info["tcpi_last_data_sent"] / 1000 if sent else -1.0,
        last_received=info["tcpi_last_data_recv"] / 1000 if received else -1.0,
        bytes_sent=sent,
        bytes_received=received,
        unread=entry["idiag_rqueue"],
        unsent=info.get("tcpi_notsent_bytes", 0),
        unacked=info.get("tcpi_unacked", 0),
        retransmits=info.get("tcpi_total_retrans", 0),
        bytes_acked=info.get("tcpi_bytes_acked", 0),
        backoff=info.get("tcpi_retransmits", 0),
        rtt=info["tcpi_rtt"] / 1e6 if info.get("tcpi_rtt") else -1.0,
    )


def sockets_of(pids: Iterable[int]) -> dict[int, Sockets]:
    """Sockets of each process, also of those in containers; empty where they may not be seen.

    One question to each network. What a process in another network listens on is given with that network's own
    addresses, since its port alone would say nothing here.
    """
    found: dict[int, Sockets] = {}
    networks: dict[str, list[int]] = {}
    for pid in pids:
        found[pid] = Sockets()
        networks.setdefault(namespaces.identity(pid, "net"), []).append(pid)
    for members in networks.values():
        with suppress(OSError):
            if namespaces.is_elsewhere(members[0], "net"):
                found |= _elsewhere(members)
            else:
                found |= _sorted_out(members, list(_dump()))
    return found


def _sorted_out(pids: Iterable[int], entries: Iterable[Any]) -> dict[int, Sockets]:
    owner: dict[int, list[int]] = {}
    found: dict[int, tuple[list[Connection], list[str], dict[int, tuple[str, str]]]] = {}
    for pid in pids:
        found[pid] = ([], [], {})
        for inode in _inodes_of(pid):
            owner.setdefault(inode, []).append(pid)
    for entry in entries:
        for pid in owner.get(entry["idiag_inode"], ()):
            connections, listens, ends = found[pid]
            if _STATES[entry["idiag_state"]] == "LISTEN":
                listens.append(_address(entry["idiag_src"], entry["idiag_sport"]))
                ends[entry["idiag_inode"]] = (listens[-1], "")
            else:
                connections.append(_connection(entry))
                ends[entry["idiag_inode"]] = (connections[-1].local, connections[-1].remote)
    return {
        pid: Sockets(tuple(sorted(links, key=lambda link: (link.local, link.remote))), tuple(sorted(listens)), ends)
        for pid, (links, listens, ends) in found.items()
    }


def _elsewhere(pids: list[int]) -> dict[int, Sockets]:
    entries, addresses = namespaces.in_network_of(pids[0], lambda: (list(_dump()), _own_addresses()))
    return {
        pid: links._replace(listens=tuple(_spelled_out(links.listens, addresses)))
        for pid, links in _sorted_out(pids, entries).items()
    }


def _own_addresses() -> tuple[str, ...]:
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with IPRoute() as kernel:
            return tuple(entry.get_attr("IFA_ADDRESS") for entry in kernel.get_addr(family=socket.AF_INET))
    except NetlinkError:
        return ()


def _spelled_out(listens: Iterable[str], addresses: Iterable[str]) -> Iterator[str]:
    for address in listens:
        host, _, port = address.rpartition(":")
        if host in ("0.0.0.0", "[::]"):
            yield from (_address(own, int(port)) for own in addresses if not own.startswith("127."))
        else:
            yield address
