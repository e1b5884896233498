"""The ranks of a trial as containers: each with its own address, limits and link, in a network of the trial's own.

A rank's directory is mounted at the path that it has on this machine, so recorder, log and spec are the same
files on both sides. Containers have no capability at all: evidence is taken from outside, by a process that has the
rights here, and faults are done from outside as well. What is made carries the label of its owner, see `sweep`.
"""

from __future__ import annotations

import ipaddress
import os
import random
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, NotFound
from docker.types import IPAMConfig, IPAMPool

from diagnostics.collector.sources import cgroup
from diagnostics.collector.sources.cgroup import Cgroup
from diagnostics.errors import LastbatchError, MissingError
from diagnostics.model import Memory
from repro.cluster import Cluster, Link, Member, RankSpec, engine, link, owner
from repro.cluster.limits import NodeLimits
from repro.cluster.staging import NODE_ENVIRONMENT, arguments, stage
from repro.cluster.sweep import OWNER, RANK, TRIAL, remove, sweep

ADDRESSES = ipaddress.IPv4Network("198.18.0.0/15")
"""Set aside for testing networks (RFC 2544): never anybody's real address."""
PORT = 2222
_USER = 10001  # of the images
_PERIOD = 100_000
"""Microseconds of the CPU quota's period."""
_EAT = "x = []\nwhile True: x.append(b'x' * (1 << 20))"


class DockerCluster(Cluster):
    """See `Cluster`."""

    def __init__(self, client: docker.DockerClient, trial: str, subnet: str) -> None:
        super().__init__()
        self.client = client
        self.trial = trial
        self.subnet = subnet
        self.containers: dict[str, str] = {}
        self.needed: dict[str, int] = {}
        """Bytes that the plan says each rank takes; 0: there is none."""
        self._lifelines: list[socket.SocketIO] = []
        self._ended: dict[str, dict[str, Any]] = {}
        self._groups: dict[str, Cgroup] = {}

    def exits(self) -> dict[str, int]:
        """See `Cluster`; in the order in which they ended."""
        self._look()
        ordered = sorted(self._ended.items(), key=lambda item: str(item[1]["FinishedAt"]))
        return {rank: _status(state["ExitCode"]) for rank, state in ordered}

    def out_of_memory(self) -> dict[str, Memory]:
        """See `Cluster`."""
        self._look()
        return {rank: self._memory(rank) for rank, state in self._ended.items() if state["OOMKilled"]}

    def _memory(self, rank: str) -> Memory:
        group = self._groups.get(rank, Cgroup())
        return Memory(group.memory_limit, group.memory, self.needed[rank] or -1)

    def _look(self) -> None:
        """Which ranks have ended, and what the others hold: once one has ended its control group is gone."""
        for member in self.members:
            if member.rank in self._ended:
                continue
            if Path(f"/proc/{member.pid}/stat").exists():
                # One that is just ending has left its group already, and says nothing of memory.
                if (group := cgroup.group_of(member.pid)) and group.memory > 0:
                    self._groups[member.rank] = group
                continue
            state = self.client.api.inspect_container(self.containers[member.rank])["State"]
            if not state["Running"]:
                self._ended[member.rank] = state

    def create(self, image: str, spec: RankSpec, home: Path, address: str, limits: NodeLimits) -> str:
        """A container that is ready to start; its id."""
        api = self.client.api
        user = str(_USER) if os.geteuid() == 0 else f"{os.geteuid()}:{os.getegid()}"
        code = home.parent / "code"
        mounts = {home: "rw", code: "ro"} | ({spec.data: "rw"} if spec.data else {})
        log = f'exec python3 "$@" >>{home / "log"} 2>&1'
        made: dict[str, str] = api.create_container(
            image, ["sh", "-c", log, "sh", *arguments(spec, home)], hostname=spec.rank.replace(":", "-"), user=user,
            # Not detached: standard input is the lifeline, and ends with the connection that holds it.
            stdin_open=True, detach=False,
            name=f"lastbatch-{self.trial}-{spec.rank.replace(':', '-')}",
            labels={OWNER: owner.here(), TRIAL: self.trial, RANK: spec.rank},
            working_dir=str(home), environment=NODE_ENVIRONMENT | {"PYTHONPATH": str(code), "HOME": str(home)},
            networking_config=api.create_networking_config(
                {self.network: api.create_endpoint_config(ipv4_address=address)}
            ),
            host_config=api.create_host_config(
                binds=[f"{path}:{path}:{how}" for path, how in mounts.items()], network_mode=self.network,
                cap_drop=["ALL"], security_opt=["no-new-privileges"], log_config={"type": "none"},
                **limits.host_config(spec.memory_needed),
            ),
        )  # fmt: skip
        return made["Id"]

    @property
    def network(self) -> str:
        return f"lastbatch-{self.trial}"

    def start(self, rank: str, home: Path, address: str) -> None:
        """Hold the container's lifeline, let it run, and note its process."""
        api, identity = self.client.api, self.containers[rank]
        self._lifelines.append(api.attach_socket(identity, params={"stdin": 1, "stream": 1}))
        api.start(identity)
        pid = api.inspect_container(identity)["State"]["Pid"]
        self.members += (Member(rank, pid, home, f"{address}:{PORT}"),)

    def pause(self, rank: str) -> None:
        """See `Cluster`. By the cgroup freezer, which no program can see coming."""
        self.client.api.pause(self.containers[rank])

    def resume(self, rank: str) -> None:
        with _unless_gone():
            self.client.api.unpause(self.containers[rank])

    def limit_cpu(self, rank: str, cores: float | None) -> None:
        """See `Cluster`. By the cgroup's quota."""
        if cores is not None:
            self._set_quota(rank, max(1000, int(cores * _PERIOD)))
            return
        with _unless_gone():
            self._set_quota(rank, -1)

    def _set_quota(self, rank: str, quota: int) -> None:
        self._update(rank, cpu_period=_PERIOD, cpu_quota=quota)

    def _update(self, rank: str, **limits: int) -> None:
        """Change the limits of a rank that runs.

        Raises:
            MissingError: the engine has no call for it.
        """
        try:
            self.client.api.update_container(self.containers[rank], **limits)
        except NotFound:
            self.client.api.inspect_container(self.containers[rank])  # else it is the container that is not there
            raise MissingError(
                "this engine cannot change the limits of a container that runs", "Podman 4.3 cannot: take Docker"
            ) from None

    def exhaust_memory(self, rank: str, spare: int) -> None:
        """See `Cluster`. A neighbour in its container takes the rest; of the two the kernel kills the rank."""
        api, identity = self.client.api, self.containers[rank]
        used = int(api.stats(identity, stream=False, one_shot=True)["memory_stats"]["usage"])
        limit = max(self.needed[rank], used) + spare
        Path(f"/proc/{self.member(rank).pid}/oom_score_adj").write_text("1000")
        self._update(rank, mem_limit=limit, memswap_limit=limit)
        eater = api.exec_create(identity, ["python3", "-S", "-c", _EAT])["Id"]
        api.exec_start(eater, detach=True)

    def degrade_link(self, rank: str, how: Link) -> None:
        """See `Cluster`."""
        link.degrade(self.member(rank), how)

    def restore_link(self, rank: str) -> None:
        with _unless_gone():
            link.restore(self.member(rank))

    def cut_off(self, sender: str, receiver: str) -> None:
        """See `Cluster`. By a packet filter."""
        link.drop(self.member(receiver), self.member(sender).address)

    def reconnect(self, sender: str, receiver: str) -> None:
        with _unless_gone():
            link.accept(self.member(receiver), self.member(sender).address)

    def close(self) -> None:
        """Everything of this trial away."""
        remove(self.client, self.trial)
        for lifeline in self._lifelines:
            with suppress(OSError):
                lifeline.close()
        self.client.close()


@contextmanager
def _unless_gone() -> Iterator[None]:
    """What is undone may be undone already, and its rank may be gone: the engine and the kernel then refuse."""
    with suppress(APIError, ProcessLookupError, LastbatchError):
        yield


def _status(code: int) -> int:
    """Of a container: 128 and more is a signal, as a shell says it."""
    return 128 - code if code > 128 else code


def _make_network(client: docker.DockerClient, trial: str) -> str:
    """A network of the trial's own, in a subnet that nobody else here has; the subnet.

    Raises:
        MissingError: none is free.
    """
    taken = {pool["Subnet"] for network in client.networks.list() for pool in network.attrs["IPAM"]["Config"] or ()}
    said = "all are in use"
    for subnet in random.sample(list(ADDRESSES.subnets(new_prefix=24))[1:], 30):
        if any(subnet.overlaps(ipaddress.IPv4Network(other, strict=False)) for other in taken if "." in other):
            continue
        try:
            client.networks.create(
                f"lastbatch-{trial}", driver="bridge", internal=True, labels={OWNER: owner.here(), TRIAL: trial},
                ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet))]),
            )  # fmt: skip
        except APIError as error:
            said = str(error.explanation)  # somebody was faster, or the host routes it elsewhere
            continue
        return str(subnet)
    raise MissingError(f"no network could be made in {ADDRESSES}: {said}", "Remove networks that are not used")


@contextmanager
def docker_cluster(
    image: str, runtime: str, specs: Sequence[RankSpec], directory: Path, limits: NodeLimits = NodeLimits()
) -> Iterator[DockerCluster]:
    """Start a container for each spec; all are gone when the block ends.

    Args:
        image: see `images.ensure_image`.
        runtime: its name, for the recorders.

    Raises:
        MissingError: no engine, or no right to use it.
    """
    client = engine.connect()
    sweep(client)
    trial = f"{os.getpid():x}-{random.getrandbits(32):08x}"
    try:
        subnet = _make_network(client, trial)
        cluster = DockerCluster(client, trial, subnet)
    except BaseException:
        client.close()
        raise
    try:
        hosts = [str(host) for host in list(ipaddress.ip_network(subnet).hosts())[9 : 9 + len(specs)]]
        addresses = {spec.rank: host for spec, host in zip(specs, hosts, strict=True)}
        _, homes = stage(directory, runtime, specs, {rank: f"{host}:{PORT}" for rank, host in addresses.items()})
        if os.geteuid() == 0:
            for home in homes.values():
                os.chown(home, _USER, _USER)
        with ThreadPoolExecutor(8) as pool:
            present = [spec for spec in specs if not spec.absent]
            cluster.needed = {spec.rank: spec.memory_needed for spec in present}
            made = pool.map(lambda o: cluster.create(image, o, homes[o.rank], addresses[o.rank], limits), present)
            cluster.containers = dict(zip((spec.rank for spec in present), made, strict=True))
            list(pool.map(lambda o: cluster.start(o.rank, homes[o.rank], addresses[o.rank]), present))
        by_rank = {member.rank: member for member in cluster.members}
        cluster.members = tuple(by_rank[spec.rank] for spec in present)
        yield cluster
    except NotFound as error:
        raise LastbatchError(f"the engine lost what the trial had made: {error.explanation}") from None
    except APIError as error:
        raise LastbatchError(f"the engine refused: {error.explanation}", "See docs/docker.md") from None
    finally:
        cluster.close()
