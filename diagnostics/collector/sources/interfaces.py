"""The network devices of a process's network: counters, and what shapes the sending. Never touches the process."""

import struct
from typing import NamedTuple, Tuple

from diagnostics.collector import namespaces
from diagnostics.collector.kernel import ROUTE, attributes, netlink
from diagnostics.collector.look import Fields, Look, plain

_GET_LINK = 18  # linux/rtnetlink.h
_NAME, _DISCIPLINE, _COUNTERS = 3, 6, 23  # IFLA_IFNAME, IFLA_QDISC, IFLA_STATS64 (linux/if_link.h)


class Interface(NamedTuple):
    """As `diagnostics.model.Interface`."""

    name: str
    sent: int
    received: int
    dropped: int
    errors: int
    discipline: str = ""


def once(look: Look) -> Fields:
    return {pid: {"interfaces": plain(interfaces_of(pid))} for pid in look.pids}


def interfaces_of(pid: int) -> Tuple[Interface, ...]:
    """Of a process in a network of its own; () for one in ours, whose devices serve everybody, or where not allowed."""
    if not namespaces.is_elsewhere(pid, "net"):
        return ()
    try:
        return namespaces.in_network_of(pid, here)
    except OSError:
        return ()


def here() -> Tuple[Interface, ...]:
    """Of the network that the calling thread is in, but for the loopback device.

    Raises:
        OSError: the kernel does not tell.
    """
    found = []
    for message in netlink(ROUTE, _GET_LINK, bytes(16)):
        told = attributes(message, 16)
        name = told.get(_NAME, b"").rstrip(b"\0").decode("utf-8", "replace")
        numbers = struct.unpack_from("=8Q", told.get(_COUNTERS, b"").ljust(64, b"\0"))
        _, _, received, sent, receive_errors, send_errors, receive_drops, send_drops = numbers
        if name and name != "lo":
            discipline = told.get(_DISCIPLINE, b"").rstrip(b"\0").decode("utf-8", "replace")
            found.append(
                Interface(name, sent, received, receive_drops + send_drops, receive_errors + send_errors, discipline)
            )
    return tuple(found)
