"""A rank whose link is slow, lossy or narrow: netem on what it sends, in its own network namespace.

A kernel without netem still has a token bucket (rate) and packet filters (loss). Late delivery then needs somebody who
holds the packets back: `hold`, a process that ends with this program.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from diagnostics.collector.namespaces import in_network_of
from diagnostics.errors import LastbatchError
from repro.cluster import Cluster, Member
from repro.cluster.supervisor import die_with_parent
from repro.faults.base import Fault, in_network, member_of, unless_gone

_DEVICE = "eth0"
_HOLD = Path(__file__).with_name("hold.py")


class LinkFault(Fault, frozen=True):
    places: ClassVar[tuple[str, ...]] = ("docker",)
    elsewhere: ClassVar[str] = "processes of this machine share one loopback device"
    family: ClassVar[str] = "slow"

    def heal(self, cluster: Cluster) -> None:
        member = member_of(cluster, self.target)
        with unless_gone():
            _qdisc(member, "del")
        with unless_gone():
            in_network(member, "iptables", "-w", "-F", "OUTPUT")


class Delay(LinkFault, frozen=True):
    """Everything that the rank sends arrives `ms` milliseconds later."""

    name: ClassVar[str] = "delay"
    example: ClassVar[str] = "delay:ps:1,ms=200,at=5,for=10"

    ms: int = 200

    def strike(self, cluster: Cluster) -> None:
        member = member_of(cluster, self.target)
        _try_netem(member, lambda: self._hold(member), delay=self.ms * 1000)

    def _hold(self, member: Member) -> None:
        # With --queue-bypass packets go their way when nobody holds them, so that the end of `hold` heals.
        in_network(member, "iptables", "-w", "-I", "OUTPUT", "-o", _DEVICE, "-j", "NFQUEUE", "--queue-bypass")
        subprocess.Popen(
            ["nsenter", f"--net=/proc/{member.pid}/ns/net", sys.executable, "-I", _HOLD, str(self.ms), str(member.pid)],
            stdin=subprocess.DEVNULL, preexec_fn=die_with_parent,
        )  # fmt: skip


class Loss(LinkFault, frozen=True):
    """Of what the rank sends, `percent` of the packets are lost."""

    name: ClassVar[str] = "loss"
    example: ClassVar[str] = "loss:ps:1,percent=30,at=5"

    percent: int = 30

    def strike(self, cluster: Cluster) -> None:
        member = member_of(cluster, self.target)
        share = f"{self.percent / 100:.2f}"
        match = ("-m", "statistic", "--mode", "random", "--probability", share)
        _try_netem(
            member,
            lambda: in_network(member, "iptables", "-w", "-I", "OUTPUT", "-o", _DEVICE, *match, "-j", "DROP"),
            loss=self.percent,
        )


class Rate(LinkFault, frozen=True):
    """The rank sends at most `kbit` kilobits a second."""

    name: ClassVar[str] = "rate"
    example: ClassVar[str] = "rate:ps:1,kbit=64,at=5"

    kbit: int = 64

    def strike(self, cluster: Cluster) -> None:
        member = member_of(cluster, self.target)
        _qdisc(member, "add", kind="tbf", rate=f"{self.kbit}kbit", burst=3200, latency="2s")


def _try_netem(member: Member, otherwise: Callable[[], None], **how: Any) -> None:
    try:
        _qdisc(member, "add", kind="netem", **how)
    except _NoSuchDiscipline:
        otherwise()


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
