"""A rank that stands still, with all its threads, while the kernel goes on acknowledging what it is sent."""

from __future__ import annotations

import os
import signal
from typing import ClassVar

from repro.cluster import Cluster
from repro.faults.base import Fault, docker_of, member_of, unless_gone


class Freeze(Fault, frozen=True):
    """In a container by the cgroup freezer, which no program can see coming; else by SIGSTOP."""

    name: ClassVar[str] = "freeze"
    family: ClassVar[str] = "frozen"
    example: ClassVar[str] = "freeze:ps:1,at=worker:0@3,for=2"

    def strike(self, cluster: Cluster) -> None:
        if containers := docker_of(cluster):
            containers.client.api.pause(containers.containers[self.target])
        else:
            os.kill(member_of(cluster, self.target).pid, signal.SIGSTOP)

    def heal(self, cluster: Cluster) -> None:
        with unless_gone():
            if containers := docker_of(cluster):
                containers.client.api.unpause(containers.containers[self.target])
            else:
                os.kill(member_of(cluster, self.target).pid, signal.SIGCONT)
