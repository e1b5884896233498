"""Slurm from Debian's packages on two nodes: a user names the job, and has the answer of both."""

from __future__ import annotations

import io
import json
import os
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import docker
import pytest
from conftest import wait_for
from docker.models.containers import Container

from diagnostics.discover.places import slurm
from repro.cluster import images
from repro.runtimes import find_interpreter

ROOT = Path(__file__).parents[2]
MINOR = "{}.{}".format(*sys.version_info)

IMAGE = """
FROM {base}
RUN apt-get update && apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge
"""

CONFIG = """
ClusterName=test
SlurmctldHost=node1
SlurmUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
SlurmctldLogFile=/var/log/slurmctld.log
SlurmdLogFile=/var/log/slurmd.log
NodeName=node[1-2] CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES State=UP
"""

START = """
set -e
mkdir -p /run/munge /etc/munge /etc/slurm /var/spool/slurmctld /var/spool/slurmd
cp {shared}/munge.key /etc/munge/munge.key && cp {shared}/slurm.conf /etc/slurm/
chown -R munge /etc/munge /run/munge /var/log/munge /var/lib/munge && chmod 400 /etc/munge/munge.key
setpriv --reuid munge --regid munge --clear-groups munged
[ "$(hostname)" != node1 ] || slurmctld
exec slurmd -D
"""

JOB = """
import os, socket, threading, time
def receives_gradients(other):
    other.recv(1)
def uploads_results():
    results = threading.Lock()
    results.acquire()
    open("uploads", "w").close()
    results.acquire()
if os.environ["SLURM_PROCID"] == "0":
    listener = socket.create_server(("", 35900))
    receives_gradients(listener.accept()[0])
else:
    while True:
        try:
            connection = socket.create_connection(("node1", 35900))
            break
        except OSError:
            time.sleep(0.1)
    uploads_results()
"""


class Cluster(NamedTuple):
    nodes: tuple[Container, Container]
    shared: Path
    python: str

    def said(self, *words: str) -> str:
        done = self.nodes[0].exec_run(list(words), workdir=str(self.shared))
        assert done.exit_code == 0, done.output
        return str(done.output, "utf-8")

    def attach(self, *words: str) -> Any:
        """As a user on the first node, who is inside of the allocation, too."""
        path = os.pathsep.join([str(ROOT), *(place for place in sys.path if place.endswith("-packages"))])
        done = self.nodes[0].exec_run(
            [self.python, "-m", "repro", "attach", "--json", *words], workdir=str(self.shared), demux=True,
            environment={"PYTHONPATH": path, "SLURM_JOB_ID": "1", "SLURM_NTASKS": "7", "SLURM_STEP_NODELIST": "node9"},
        )  # fmt: skip
        assert done.exit_code in (1, 4), done.output
        return json.loads(done.output[0])


@pytest.fixture(scope="module")
def cluster(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    shared = tmp_path_factory.mktemp("slurm")
    (shared / "munge.key").write_bytes(secrets.token_bytes(256))
    (shared / "slurm.conf").write_text(CONFIG)
    (shared / "start.sh").write_text(START.format(shared=shared))
    (shared / "job.py").write_text(JOB)
    text = IMAGE.format(base=images.debian(engine))
    image, _ = engine.images.build(fileobj=io.BytesIO(text.encode()), network_mode="host", tag="lastbatch-slurm:test")
    python = find_interpreter(MINOR).python
    reads = {str(ROOT), str(Path(python).resolve().parent.parent), sys.prefix}
    reads |= {place for place in sys.path if place.endswith("-packages")}
    volumes = {path: {"bind": path, "mode": "ro"} for path in reads} | {str(shared): {"bind": str(shared)}}
    network = engine.networks.create(f"lastbatch-slurm-{os.getpid()}", internal=True)
    environment = {"PATH": f"{Path(python).resolve().parent}:/usr/sbin:/usr/bin:/sbin:/bin"}
    nodes: list[Container] = []
    try:
        for name in ("node1", "node2"):
            node = engine.containers.run(
                image, ["sh", str(shared / "start.sh")], detach=True, init=True, name=f"{name}-{os.getpid()}",
                hostname=name, network=network.name, cap_add=["SYS_PTRACE"], volumes=volumes, environment=environment,
                networking_config={network.name: engine.api.create_endpoint_config(aliases=[name])},
            )  # fmt: skip
            nodes.append(node)
        there = Cluster((nodes[0], nodes[1]), shared, str(python))
        wait_for(lambda: nodes[0].exec_run("sinfo -h -o %T").output.decode().split() == ["idle"], 60)
        wrapped = f"srun {python} job.py"
        there.said("sbatch", "--nodes=2", "--ntasks-per-node=1", "--output=job.out", "--wrap", wrapped)
        wait_for((shared / "uploads").exists, 60)
        yield there
    finally:
        for node in nodes:
            node.remove(force=True)
        network.remove()


def test_a_job_is_named_by_its_number(cluster: Cluster) -> None:
    began = time.monotonic()
    answer = cluster.attach("slurm:1")
    took = time.monotonic() - began
    (culprit,) = answer["culprits"]
    assert (culprit["rank"], culprit["position"]["function"]) == ("worker:1", "uploads_results"), answer
    ranks = {rank["rank"]: (rank["host"], rank["state"]) for rank in answer["ranks"]}
    assert ranks == {"worker:0": ("node1", "hung"), "worker:1": ("node2", "hung")}
    print(f"answered in {took:.1f} s")


def test_a_node_that_does_not_answer_is_named_and_the_other_is_seen(cluster: Cluster) -> None:
    cluster.nodes[1].pause()
    answer = cluster.attach("slurm:1", "--deadline", "8")
    seen = {rank["host"]: rank for rank in answer["ranks"]}
    assert seen["node1"]["position"]["function"] == "receives_gradients", answer
    assert seen["node2"]["state"] == "unreachable" and "8 s" in seen["node2"]["why_not"], answer
    # The controller is told, or finds out by itself after some minutes.
    cluster.said("scontrol", "update", "NodeName=node2", "State=DOWN", "Reason=silent")
    found = cluster.said("sinfo", "--noheader", "--Node", "--nodes=node[1-2]", "--format=%N|%T")
    assert [host for host, _ in slurm.down_in(found)] == ["node2"], found
