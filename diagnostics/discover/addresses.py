"""Which addresses are this machine's: what the kernel lists, without asking any name server."""

from __future__ import annotations

import ipaddress
import re
import socket

from diagnostics.collector.kernel import text_of

_LOCAL = re.compile(r"\|-- ([\d.]+)\n\s+/32 host LOCAL")


def local_hosts() -> frozenset[str]:
    """Name and addresses of this machine (/proc/net/fib_trie, /proc/net/if_inet6)."""
    six = (line.split()[0] for line in text_of("/proc/net/if_inet6").splitlines() if line.split())
    found = {str(ipaddress.IPv6Address(int(digits, 16))) for digits in six if re.fullmatch("[0-9a-f]{32}", digits)}
    return frozenset(found | set(_LOCAL.findall(text_of("/proc/net/fib_trie"))) | {socket.gethostname()})


def host_of(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def port_of(address: str) -> str:
    return address.rpartition(":")[2]


def is_loopback(address: str) -> bool:
    host = host_of(address)
    return host in ("localhost", "::1") or host.startswith("127.")


def is_local(address: str, local: frozenset[str]) -> bool:
    """Whether it is of this machine. `node7.cluster.example` is the host that calls itself `node7`."""
    host = host_of(address)
    named = host.partition(".")[0] in local and not host.replace(".", "").isdigit()
    return is_loopback(address) or host in local or host in ("0.0.0.0", "::", "") or named
