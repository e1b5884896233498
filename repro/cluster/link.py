"""The network of one rank, changed from outside: what it sends comes late, gets lost, is narrow, or is cut off.

netem does it on what the rank sends, in its own network namespace. A kernel without netem still has a token bucket
(rate) and packet filters (loss). Late delivery then needs somebody who holds the packets back: `hold`, a process that
ends with this program.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from diagnostics.collector.namespaces import in_network_of
from diagnostics.errors import LastbatchError
from repro.cluster import Link, Member
from repro.cluster.supervisor import die_with_parent

_DEVICE = "eth0"
_HOLD = Path(__file__).with_name("hold.py")


def degrade(member: Member, link: Link) -> None:
    """Raises: LastbatchError: the kernel refuses, with its own words."""
    if link.kbit:
        _qdisc(member, "add", kind="tbf", rate=f"{link.kbit}kbit", burst=3200, latency="2s")
    how = {"delay": link.delay_ms * 1000, "loss": 100 * link.loss}
    try:
        if any(how.values()):
            _qdisc(member, "add", kind="netem", **{name: value for name, value in how.items() if value})
    except _NoSuchDiscipline:
        _filter(member, link)


def restore(member: Member) -> None:
    """Raises: LastbatchError: it was not degraded, or its network is gone."""
    try:
        _qdisc(member, "del")
    finally:
        in_network(member, "iptables", "-w", "-F", "OUTPUT")


def drop(member: Member, address: str) -> None:
    """What comes from there does not arrive. Raises: LastbatchError: the kernel refuses."""
    in_network(member, *_rule("-I", address))


def accept(member: Member, address: str) -> None:
    """Raises: LastbatchError: it was not dropped, or the network is gone."""
    in_network(member, *_rule("-D", address))


def _rule(action: str, address: str) -> tuple[str, ...]:
    return "iptables", "-w", action, "INPUT", "-s", address.rpartition(":")[0], "-j", "DROP"


def _filter(member: Member, link: Link) -> None:
    out = ("iptables", "-w", "-I", "OUTPUT", "-o", _DEVICE)
    if link.loss:
        at_random = ("-m", "statistic", "--mode", "random", "--probability", f"{link.loss:.2f}")
        in_network(member, *out, *at_random, "-j", "DROP")
    if link.delay_ms:
        # With --queue-bypass packets go their way when nobody holds them, so that the end of `hold` heals.
        in_network(member, *out, "-j", "NFQUEUE", "--queue-bypass")
        subprocess.Popen(
            [*_enter(member), sys.executable, "-I", _HOLD, str(link.delay_ms), str(member.pid)],
            stdin=subprocess.DEVNULL, preexec_fn=die_with_parent,
        )  # fmt: skip


def in_network(member: Member, *words: str) -> None:
    """Run a tool of this machine in the network of a rank.

    Raises:
        LastbatchError: it failed, with its own words.
    """
    done = subprocess.run([*_enter(member), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LastbatchError(f"{' '.join(words)} failed in the network of {member.rank}: {done.stderr.strip()[:200]}")


def _enter(member: Member) -> list[str]:
    return ["nsenter", f"--net=/proc/{member.pid}/ns/net"]


class _NoSuchDiscipline(LastbatchError):
    """This kernel was built without it."""


def _qdisc(member: Member, action: str, **how: Any) -> None:
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    def act() -> None:
        with IPRoute() as kernel:
            (index,) = kernel.link_lookup(ifname=_DEVICE)
            kernel.tc(action, index=index, root=True, **how)

    try:
        in_network_of(member.pid, act)
    except NetlinkError as error:
        kind = _NoSuchDiscipline if error.code == errno.ENOENT else LastbatchError
        raise kind(f"the link of {member.rank} could not be changed: {os.strerror(error.code)}") from None
    except OSError as error:
        raise LastbatchError(f"the network of {member.rank} cannot be entered: {error.strerror}") from None
