"""A rank that the kernel kills, because its container has come to its memory limit."""

from __future__ import annotations

from typing import ClassVar

from repro.cluster import Cluster
from repro.faults.base import Fault, docker_of

_EAT = "x = [b'x' * (1 << 20) for _ in range(4096)]"


class Oom(Fault, frozen=True):
    """The limit is set to `spare` MiB above what the rank uses now, and a neighbour in its container takes the rest.

    Of the two the kernel kills the larger one, which is the rank.
    """

    name: ClassVar[str] = "oom"
    family: ClassVar[str] = "out-of-memory"
    example: ClassVar[str] = "oom:ps:1,at=5"
    places: ClassVar[tuple[str, ...]] = ("docker",)
    elsewhere: ClassVar[str] = "processes share this machine's memory, none has a limit of its own"
    heals: ClassVar[bool] = False

    spare: int = 16

    def strike(self, cluster: Cluster) -> None:
        containers = docker_of(cluster)
        assert containers
        api, identity = containers.client.api, containers.containers[self.target]
        used = int(api.stats(identity, stream=False, one_shot=True)["memory_stats"]["usage"])
        limit = used + (self.spare << 20)
        api.update_container(identity, mem_limit=limit, memswap_limit=limit)
        eater = api.exec_create(identity, ["python3", "-S", "-c", _EAT])["Id"]
        api.exec_start(eater, detach=True)
