"""The network devices of a process's network: counters, and what shapes the sending. Never touches the process."""

from __future__ import annotations

from diagnostics.collector import namespaces
from diagnostics.model import Interface


def links_of(pid: int) -> tuple[Interface, ...]:
    """Of a process in a network of its own; () for one in ours, whose devices serve everybody, or where not allowed."""
    if not namespaces.is_elsewhere(pid, "net"):
        return ()
    try:
        return namespaces.in_network_of(pid, _links)
    except OSError:
        return ()


def _links() -> tuple[Interface, ...]:
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    found = []
    try:
        with IPRoute() as kernel:
            for entry in kernel.get_links():
                stats = entry.get_attr("IFLA_STATS64") or {}
                name = entry.get_attr("IFLA_IFNAME")
                if name == "lo":
                    continue
                found.append(
                    Interface(
                        name=name,
                        sent=stats.get("tx_bytes", 0),
                        received=stats.get("rx_bytes", 0),
                        dropped=stats.get("rx_dropped", 0) + stats.get("tx_dropped", 0),
                        errors=stats.get("rx_errors", 0) + stats.get("tx_errors", 0),
                        discipline=entry.get_attr("IFLA_QDISC") or "",
                    )
                )
    except NetlinkError:
        return ()
    return tuple(found)
