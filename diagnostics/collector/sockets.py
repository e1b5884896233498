"""TCP sockets of processes with their quiet times, from the kernel's sock_diag (linux/inet_diag.h, struct tcp_info).

One question to the kernel for all processes of a network namespace; never touches a target. CPython 3.6, the standard
library alone.
"""

import os
import socket
import struct
from typing import Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple

from diagnostics.collector import namespaces
from diagnostics.collector.kernel import ROUTE, attributes, netlink, sock_diag

_TCP_INFO = 2  # INET_DIAG_INFO
_GET_ADDRESS, _IFA_ADDRESS = 22, 1  # linux/rtnetlink.h, linux/if_addr.h
_STATES = (
    "", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT",
    "LAST_ACK", "LISTEN", "CLOSING",
)  # fmt: skip


class Connection(NamedTuple):
    """As `diagnostics.model.Connection`, which tells what is what."""

    local: str
    remote: str
    state: str
    peer: str = ""
    last_sent: float = -1.0
    last_received: float = -1.0
    bytes_sent: int = 0
    bytes_received: int = 0
    unread: int = 0
    unsent: int = 0
    unacked: int = 0
    retransmits: int = 0
    bytes_acked: int = 0
    backoff: int = 0
    rtt: float = -1.0
    listener: Optional[bool] = None


class Listener(NamedTuple):
    """As `diagnostics.model.Listener`."""

    address: str
    waiting: int = 0
    backlog: int = 0


class Sockets(NamedTuple):
    """Of one process: its connections, what it listens on, and both ends of each socket by its inode."""

    connections: Tuple[Connection, ...] = ()
    listeners: Tuple[Listener, ...] = ()
    ends: Mapping[int, Tuple[str, str]] = {}

    @property
    def listens(self) -> Tuple[str, ...]:
        return tuple(one.address for one in self.listeners)

    @property
    def bytes(self) -> int:
        """Moved over all connections so far."""
        return sum(one.bytes_sent + one.bytes_received for one in self.connections)


class _Entry(NamedTuple):
    """A socket as the kernel tells of it. `queued`, `limit`: of one that listens, who waits to be accepted."""

    inode: int
    connection: Connection
    queued: int
    limit: int


def sockets_of(pids: Iterable[int]) -> Dict[int, Sockets]:
    """Sockets of each process, also of those in containers; empty where they may not be seen.

    One question to each network. What a process in another network listens on is given with that network's own
    addresses, since its port alone would say nothing here.
    """
    found: Dict[int, Sockets] = {}
    networks: Dict[str, List[int]] = {}
    for pid in pids:
        found[pid] = Sockets()
        networks.setdefault(namespaces.identity(pid, "net"), []).append(pid)
    for members in networks.values():
        try:
            if namespaces.is_elsewhere(members[0], "net"):
                found.update(_elsewhere(members))
            else:
                found.update(_sorted_out(members, list(_dump())))
        except OSError:
            continue
    return found


def _dump() -> Iterator[_Entry]:
    for family in (socket.AF_INET, socket.AF_INET6):
        question = struct.pack("=BBBxI", family, socket.IPPROTO_TCP, 1 << (_TCP_INFO - 1), 0xFFFFFFFF) + bytes(48)
        try:
            for message in sock_diag(question):
                yield _entry(message)
        except (OSError, struct.error):
            return  # the kernel does not tell here; that there are no connections in the evidence says so


def _entry(message: bytes) -> _Entry:
    """Of one struct inet_diag_msg."""
    family, state = message[0], message[1]
    local_port, remote_port = struct.unpack_from(">HH", message, 4)
    queued, limit, _, inode = struct.unpack_from("=IIII", message, 56)
    info = attributes(message, 72).get(_TCP_INFO, b"").ljust(232, b"\0")

    def number(at: int) -> int:
        return int(struct.unpack_from("=I", info, at)[0])

    acked, received = struct.unpack_from("=QQ", info, 120)
    (sent,) = struct.unpack_from("=Q", info, 200)
    connection = Connection(
        local=_address(family, message[8:24], local_port),
        remote=_address(family, message[24:40], remote_port),
        state=_STATES[state] if state < len(_STATES) else str(state),
        # The kernel's counters start with the connection; where nothing was sent they mean nothing.
        last_sent=number(44) / 1000 if sent else -1.0,
        last_received=number(52) / 1000 if received else -1.0,
        bytes_sent=sent,
        bytes_received=received,
        unread=queued,
        unsent=number(144),
        unacked=number(24),
        retransmits=number(100),
        bytes_acked=acked,
        backoff=info[2],
        rtt=number(68) / 1e6 if number(68) else -1.0,
    )
    return _Entry(inode, connection, queued, limit)


def _address(family: int, raw: bytes, port: int) -> str:
    return _spelled(socket.inet_ntop(family, raw[: 4 if family == socket.AF_INET else 16]), port)


def _spelled(host: str, port: int) -> str:
    if host.startswith("::ffff:"):
        host = host[7:]
    return ("[%s]:%d" if ":" in host else "%s:%d") % (host, port)


def _inodes_of(pid: int) -> Set[int]:
    found = set()
    try:
        for name in os.listdir("/proc/%d/fd" % pid):
            try:
                target = os.readlink("/proc/%d/fd/%s" % (pid, name))
            except OSError:
                continue
            if target.startswith("socket:["):
                found.add(int(target[8:-1]))
    except OSError:
        return set()
    return found


def _sorted_out(pids: Iterable[int], entries: List[_Entry]) -> Dict[int, Sockets]:
    owners: Dict[int, List[int]] = {}
    connections: Dict[int, List[Connection]] = {}
    listeners: Dict[int, List[Listener]] = {}
    ends: Dict[int, Dict[int, Tuple[str, str]]] = {}
    for pid in pids:
        connections[pid], listeners[pid], ends[pid] = [], [], {}
        for inode in _inodes_of(pid):
            owners.setdefault(inode, []).append(pid)
    served = {entry.connection.local for entry in entries if entry.connection.state == "LISTEN"}
    for entry in entries:
        one = entry.connection
        for pid in owners.get(entry.inode, ()):
            if one.state == "LISTEN":
                listeners[pid].append(Listener(one.local, entry.queued, entry.limit))
                ends[pid][entry.inode] = (one.local, "")
            else:
                connections[pid].append(one._replace(listener=_is_served(one, served)))
                ends[pid][entry.inode] = (one.local, one.remote)
    return {
        pid: Sockets(
            tuple(sorted(connections[pid], key=lambda one: (one.local, one.remote))),
            tuple(sorted(listeners[pid])),
            ends[pid],
        )
        for pid in ends
    }


def _is_served(one: Connection, served: Set[str]) -> Optional[bool]:
    """Whether anybody listens where it wants to go, if that is on the same host."""
    if one.state != "SYN_SENT":
        return None
    host, _, port = one.remote.rpartition(":")
    if not host.startswith("127.") and host != "[::1]" and host != one.local.rpartition(":")[0]:
        return None
    return bool({one.remote, "0.0.0.0:" + port, "[::]:" + port} & served)


def _elsewhere(pids: List[int]) -> Dict[int, Sockets]:
    entries, addresses = namespaces.in_network_of(pids[0], lambda: (list(_dump()), own_addresses()))
    return {
        pid: found._replace(listeners=tuple(_spelled_out(found.listeners, addresses)))
        for pid, found in _sorted_out(pids, entries).items()
    }


def own_addresses() -> Tuple[str, ...]:
    """IPv4 addresses of this network."""
    question = struct.pack("=BBBBI", socket.AF_INET, 0, 0, 0, 0)
    try:
        found = [attributes(message, 8).get(_IFA_ADDRESS, b"") for message in netlink(ROUTE, _GET_ADDRESS, question)]
    except OSError:
        return ()
    return tuple(socket.inet_ntop(socket.AF_INET, raw) for raw in found if len(raw) == 4)


def _spelled_out(listeners: Iterable[Listener], addresses: Iterable[str]) -> Iterator[Listener]:
    for one in listeners:
        host, _, port = one.address.rpartition(":")
        if host in ("0.0.0.0", "[::]"):
            for own in addresses:
                if not own.startswith("127."):
                    yield one._replace(address=_spelled(own, int(port)))
        else:
            yield one
