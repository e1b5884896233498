"""A rank that the kernel kills, because its container has come to its memory limit."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from repro.cluster import Cluster
from repro.faults.base import Fault, docker_of, member_of

_EAT = "x = []\nwhile True: x.append(b'x' * (1 << 20))"


class Oom(Fault, frozen=True):
    """The limit becomes `spare` MiB more than the plan says that the rank needs, or than it uses now if that is more. A
    neighbour in its container takes the rest, and the kernel is told to kill the rank of the two.
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
        limit = max(containers.needed[self.target], used) + (self.spare << 20)
        Path(f"/proc/{member_of(cluster, self.target).pid}/oom_score_adj").write_text("1000")
        api.update_container(identity, mem_limit=limit, memswap_limit=limit)
        eater = api.exec_create(identity, ["python3", "-S", "-c", _EAT])["Id"]
        api.exec_start(eater, detach=True)
