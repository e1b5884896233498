"""Faults on real containers: they do what they say, are healed, and a healed job is never called hung."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import docker
import pytest
from conftest import LASTBATCH, Answer, wait_for

from diagnostics import bundle
from diagnostics.collector.sources import cgroup
from diagnostics.transport import flight
from repro import scenarios
from repro.cluster import RankSpec, owner
from repro.cluster.docker import DockerCluster, docker_cluster
from repro.cluster.sweep import sweep
from repro.faults import history, make
from repro.trial import recorder_of, wait_until_ready

Image = Callable[[str], str]
Call = Callable[..., Answer]
# Healthy by itself: one inter-op thread cannot abort a step while it starts its receives.
HEALTHY = {"variables": "10", "inter_op": "1", "ps": "2", "batches": "5", "epoch_ends": "100000"}


@pytest.fixture(scope="module")
def job(image: Image, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """A TensorFlow 1.12 job that trains on and on."""
    story = scenarios.find("last-batch")
    resolved = story.resolve(HEALTHY, "dataset-article")
    specs = [RankSpec(rank, story.program, "dataset-article", resolved) for rank in story.ranks(resolved)]
    directory = tmp_path_factory.mktemp("job") / "trial"
    with docker_cluster(image("tf1.12"), "tf1.12", specs, directory) as cluster:
        wait_until_ready(cluster)
        wait_for(lambda: steps(cluster) > 50)
        yield cluster


def settings(**more: int) -> list[str]:
    """The healthy job's, as words of the command line."""
    return [word for key, value in (HEALTHY | more).items() for word in ("--set", f"{key}={value}")]


def steps(cluster: DockerCluster) -> int:
    recording = flight.load(recorder_of(cluster.member("worker:0")), tail=1)
    return recording.steps if recording else 0


def stands(cluster: DockerCluster) -> bool:
    """Whether two samples a second apart find the same step."""
    before = steps(cluster)
    time.sleep(1)
    return steps(cluster) == before


@pytest.mark.parametrize(
    ("name", "target", "given"),
    [
        ("freeze", "ps:1", {}),
        ("partition", "ps:1<>worker:0", {}),
        ("partition", "worker:0>ps:1", {}),
        ("loss", "ps:1", {"percent": "100"}),
        ("delay", "ps:1", {"ms": "5000"}),
    ],
)
def test_the_job_stands_while_it_lasts_and_goes_on_when_it_is_healed(
    job: DockerCluster, name: str, target: str, given: dict[str, str]
) -> None:
    fault = make(name, target, given)
    fault.strike(job)
    try:
        wait_for(lambda: stands(job), 60)
    finally:
        fault.heal(job)
    reached = steps(job)
    wait_for(lambda: steps(job) > reached + 20, 120)
    fault.heal(job)  # once more does no harm


def test_a_throttled_rank_is_counted_and_let_go(job: DockerCluster) -> None:
    pid = job.member("ps:1").pid
    fault = make("throttle", "ps:1", {"cpus": "0.02"})
    fault.strike(job)
    try:
        group = wait_for(lambda: (found := cgroup.group_of(pid)) and found.throttled > 5 and found, 60)
        assert group.cpus == pytest.approx(0.02)
    finally:
        fault.heal(job)
    after = cgroup.group_of(pid)
    assert after and after.cpus == -1.0


def test_a_job_that_was_frozen_for_a_while_is_never_called_hung(image: Image, lastbatch: Call, tmp_path: Path) -> None:
    """A user freezes a server for longer than a rank may be silent: the job is not hung, and trains on."""
    image("tf1.12")
    answer = lastbatch(
        "run", "last-batch", "--backend", "docker", "--arm", "dataset-article", "--json", "--time-limit", 600,
        "--out", "out", *settings(epoch_ends=100), "--fault", "freeze:ps:1,at=worker:0@2,for=6",
    )  # fmt: skip
    (arm,) = answer.json["arms"]
    assert arm["verdict"] == "finished" and answer.code == 0, answer.err
    entries = history.read(tmp_path / "out" / "dataset-article" / "history.jsonl")
    assert [entry.what for entry in entries] == ["started", "ready", "strike", "struck", "healed", "finished"]
    assert entries[4].at - entries[3].at >= 6


@pytest.mark.parametrize(
    "fault",
    [
        "freeze:ps:1", "partition:ps:1<>worker:0", "delay:ps:1,ms=100", "loss:ps:1,percent=40", "rate:ps:1,kbit=16",
        "throttle:ps:1", "stall-disk:worker:0", "kill:ps:1", "oom:ps:1", "absent:ps:1",
    ],
)  # fmt: skip
def test_nothing_is_left_of_a_fault_when_the_program_was_killed(
    engine: docker.DockerClient, image: Image, tmp_path: Path, fault: str
) -> None:
    """GIVEN kill -9 while a fault is in force, WHEN the next trial starts, THEN nothing of the killed one is left."""
    image("tf1.12")
    words = ["run", "last-batch", "--backend", "docker", "--arm", "dataset-article", *settings(), "--fault", fault]
    log = tmp_path / "out" / "dataset-article" / "history.jsonl"
    with subprocess.Popen([*LASTBATCH, *words, "--out", str(tmp_path / "out")], stderr=subprocess.DEVNULL) as program:
        wait_for(lambda: log.exists() and '"struck"' in log.read_text())
        label = {"label": "lastbatch.owner"}
        there = engine.api.containers(all=True, filters=label)
        mine = [c for c in there if f" {program.pid} " in c["Labels"]["lastbatch.owner"]]
        pids = [engine.api.inspect_container(container["Id"])["State"]["Pid"] for container in mine]
        os.kill(program.pid, signal.SIGKILL)
    assert len(mine) == (2 if fault.startswith("absent") else 3)
    sweep(engine)
    everything = [*engine.api.containers(all=True, filters=label), *engine.api.networks(filters=label)]
    assert not [thing for thing in everything if owner.is_gone(thing["Labels"]["lastbatch.owner"])]
    wait_for(lambda: not [pid for pid in pids if Path(f"/proc/{pid}").exists()], 20)
    wait_for(lambda: str(tmp_path) not in Path("/proc/self/mounts").read_text(), 20)
    groups = [path for depth in ("*/docker/*", "*/*") for path in Path("/sys/fs/cgroup").glob(depth)]
    assert not [path for path in groups if any(container["Id"] in path.name for container in mine)]


BY_PLAN = ["run", "last-batch", "--backend", "docker", "--arm", "dataset-article", "--limit", "memory=plan", "--json"]


def test_a_job_trains_within_the_memory_of_its_plan(image: Image, lastbatch: Call) -> None:
    image("tf1.12")
    answer = lastbatch(*BY_PLAN, *settings(epoch_ends=20), "--time-limit", 600)
    (arm,) = answer.json["arms"]
    assert arm["verdict"] == "finished" and answer.code == 0, answer.err


def test_a_rank_at_its_memory_limit_is_named_with_predicted_limit_and_last_seen(
    image: Image, lastbatch: Call, tmp_path: Path
) -> None:
    """Something else takes memory beside a rank that had what the plan says."""
    image("tf1.12")
    answer = lastbatch(*BY_PLAN, *settings(), "--fault", "oom:ps:1,at=worker:0@2", "--time-limit", 600)
    (arm,) = answer.json["arms"]
    assert arm["verdict"] == "failed" and arm["finding"]["family"] == "out-of-memory", answer.err
    assert answer.code == 0
    ended = next(p for p in bundle.read(tmp_path / arm["bundle"]).collection.processes if p.rank == "ps:1")
    assert ended.memory.limit >= ended.memory.predicted > 100 << 20
    assert 0 < ended.memory.seen <= ended.memory.limit
    assert "predicted" in (tmp_path / arm["report"]).read_text()
