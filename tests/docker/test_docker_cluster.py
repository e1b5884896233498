"""A container a rank: the same story as on this machine alone, looked at from outside, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import docker
from conftest import LASTBATCH, Answer, wait_for
from docker.errors import NotFound

from diagnostics import bundle
from diagnostics.collector.sockets import sockets_of
from repro import scenarios
from repro.cluster import RankSpec, owner
from repro.cluster.docker import docker_cluster
from repro.cluster.limits import NodeLimits
from repro.cluster.sweep import sweep
from repro.trial import wait_until_ready

Image = Callable[[str], str]
Call = Callable[..., Answer]


def specs(**settings: object) -> list[RankSpec]:
    story = scenarios.find("last-batch")
    resolved = story.resolve({key: str(value) for key, value in settings.items()})
    return [RankSpec(rank, story.program, "queue", resolved) for rank in story.ranks(resolved)]


def ours(engine: docker.DockerClient, me: str) -> list[str]:
    label = {"label": f"lastbatch.owner={me}"}
    return [c["Id"] for c in engine.api.containers(all=True, filters=label)] + [
        n["Id"] for n in engine.api.networks(filters=label)
    ]


def has_ended(engine: docker.DockerClient, container: str) -> bool:
    return bool(not engine.api.inspect_container(container)["State"]["Running"])


def test_the_seed_hangs_in_containers_and_is_named(image: Image, lastbatch: Call, tmp_path: Path) -> None:
    """A user adds --backend docker: the same verdict, with the stacks of every rank and who is at the other end."""
    image("tf1.12")
    answer = lastbatch("run", "last-batch", "--backend", "docker", "--arm", "dataset", "--time-limit", 240, "--json")
    (arm,) = answer.json["arms"]
    assert arm["verdict"] == "hung", answer.err
    assert arm["finding"]["cause"] == "tf-late-recv-after-abort"
    evidence = bundle.read(tmp_path / arm["bundle"]).collection
    worker = next(process for process in evidence.processes if process.rank == "worker:0")
    assert all(process.stacks_from == "py-spy+unwind" and process.running_after for process in evidence.processes)
    assert any("TF_SessionRun" in frame.function for thread in worker.threads for frame in thread.frames)
    assert {"ps:0", "ps:1", "ps:2", "ps:3"} <= {link.peer for link in worker.connections}
    assert worker.versions.framework_version == "1.12.0"


def test_nothing_is_left_when_a_trial_has_ended(engine: docker.DockerClient, image: Image, tmp_path: Path) -> None:
    with docker_cluster(image("tf1.12"), "tf1.12", specs(ps=2), tmp_path / "trial") as cluster:
        wait_until_ready(cluster)
        assert len(ours(engine, owner.here())) == 4  # three ranks and their network
    assert ours(engine, owner.here()) == []


def test_what_a_killed_program_left_is_removed_by_the_next_start(
    engine: docker.DockerClient, image: Image, tmp_path: Path
) -> None:
    """GIVEN a run that was killed with -9 while a server was frozen, THEN the others end by themselves, and the next
    start removes them all, the frozen one included."""
    image("tf1.12")
    words = ["run", "last-batch", "--backend", "docker", "--arm", "queue", "--epoch-ends", "100000"]
    with subprocess.Popen([*LASTBATCH, *words, "--out", str(tmp_path / "out")], stderr=subprocess.DEVNULL) as program:
        wait_for(lambda: (tmp_path / "out" / "queue" / "worker-0" / "ready").exists())
        label = {"label": "lastbatch.owner"}
        mine = [c for c in engine.api.containers(filters=label) if f" {program.pid} " in c["Labels"]["lastbatch.owner"]]
        frozen = next(c["Id"] for c in mine if c["Labels"]["lastbatch.rank"] == "ps:1")
        engine.api.pause(frozen)
        os.kill(program.pid, signal.SIGKILL)
    for container in mine:
        if container["Id"] != frozen:
            wait_for(partial(has_ended, engine, container["Id"]))
    assert engine.api.inspect_container(frozen)["State"]["Paused"]
    assert len(sweep(engine)) == 6
    for container in mine:
        try:
            engine.api.inspect_container(container["Id"])
        except NotFound:
            continue
        raise AssertionError(container)


def test_limits_reach_the_rank(image: Image, tmp_path: Path) -> None:
    limits = NodeLimits(cpus=0.5, memory=512, cpuset="0")
    with docker_cluster(image("tf1.12"), "tf1.12", specs(ps=1), tmp_path / "trial", limits) as cluster:
        wait_until_ready(cluster)
        for member in cluster.members:
            assert os.sched_getaffinity(member.pid) == {0}
            status = Path(f"/proc/{member.pid}/status").read_text()
            assert "CapEff:\t0000000000000000" in status
            listens = sockets_of([member.pid])[member.pid].listens
            assert member.address in listens, "a container's server is known by its own address"
