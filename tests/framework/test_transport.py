"""A job on three hosts, over real ssh; one of the hosts is cut off. The hosts are namespaces of this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import Answer, wait_for

from diagnostics import bundle
from diagnostics.discover.scan import all_pids
from diagnostics.errors import UsageError
from diagnostics.transport.command import argv_of
from repro.runtimes import discover

Call = Callable[..., Answer]
NEEDED = ("sshd", "ssh", "ssh-keygen", "ip", "unshare")

STUCK = """
import time
def waits_for_its_peer():
    time.sleep(600)
waits_for_its_peer()
"""


class Host(NamedTuple):
    address: str
    link: str
    pid: int


def sh(*argv: object) -> str:
    return subprocess.run([str(word) for word in argv], check=True, capture_output=True, text=True).stdout


@contextmanager
def bridge(name: str, address: str) -> Iterator[None]:
    sh("ip", "link", "add", name, "type", "bridge")
    try:
        sh("ip", "addr", "add", address, "dev", name)
        sh("ip", "link", "set", name, "up")
        yield
    finally:
        sh("ip", "link", "del", name)


@contextmanager
def host(number: int, tag: str, home: Path, environ: dict[str, str], python: str) -> Iterator[Host]:
    """Own network, processes and name; an sshd and one stuck rank in it."""
    name, link, address = f"{tag}h{number}", f"{tag}v{number}", f"198.18.77.{number + 1}"
    sh("ip", "netns", "add", name)
    try:
        sh("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
        sh("ip", "link", "set", link, "master", f"{tag}b", "up")
        sh("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
        sh("ip", "-n", name, "link", "set", "eth0", "up")
        sshd = (
            f"{shutil.which('sshd')} -D -e -f /dev/null -h {home}/hostkey -o AuthorizedKeysFile={home}/key.pub "
            f"-o StrictModes=no -o UsePAM=no -o PidFile=none -o ListenAddress={address}"
        )
        job = " ".join(f"{name}={value}" for name, value in {**environ, "RANK": number}.items())
        inside = f"hostname host{number}; {job} {python} -c '{STUCK}' & exec {sshd}"
        own = ["ip", "netns", "exec", name, "unshare", "--pid", "--fork", "--kill-child", "--uts", "--mount-proc"]
        process = subprocess.Popen([*own, "sh", "-c", inside], stderr=subprocess.DEVNULL)
        try:
            yield Host(address, link, process.pid)
        finally:
            process.kill()
            process.wait()
    finally:
        sh("ip", "netns", "del", name)


def answers(argv: list[str]) -> bool:
    return subprocess.run([*argv, "true"], capture_output=True, check=False).returncode == 0


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[tuple[list[Host], str]]:
    """Three hosts with a rank each, and the command prefix that reaches them."""
    lacking = [tool for tool in NEEDED if not shutil.which(tool)]
    python = {found.minor: str(found.python) for found in discover()}.get("3.6")
    if os.geteuid() != 0 or lacking or not python:
        assert "CI" not in os.environ, lacking
        pytest.skip(f"needs root, CPython 3.6 and {', '.join(NEEDED)}; not here: {lacking}")
    for key in ("key", "hostkey"):
        sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / key)
    Path("/run/sshd").mkdir(exist_ok=True)
    tag = f"lb{os.getpid() % 10000}"
    job = {"WORLD_SIZE": "3", "MASTER_ADDR": "198.18.77.1", "MASTER_PORT": "29500"}
    with ExitStack() as stack:
        stack.enter_context(bridge(f"{tag}b", "198.18.77.254/24"))
        hosts = [stack.enter_context(host(number, tag, tmp_path, job, python)) for number in range(3)]
        known = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
        via = f"ssh -i {tmp_path}/key -o BatchMode=yes {known} {{host}}"
        for one in hosts:
            argv = [word.replace("{host}", one.address) for word in via.split()]
            wait_for(
                partial(answers, argv), 30
            )
        yield hosts, via


QUICK = ("--gap", 0.1, "--resample", 0, "--json")


def attach(lastbatch: Call, fleet: tuple[list[Host], str], *more: object) -> Any:
    hosts, via = fleet
    named = [word for one in hosts for word in ("--host", one.address)]
    answer = lastbatch("attach", "--via", via, *named, *QUICK, "--out", "job.tar.zst", *more)
    assert "Traceback" not in answer.err, answer.err
    return json.loads(answer.out)


def below(pid: int) -> set[int]:
    from diagnostics.collector import procfs

    parents = {other: procfs.parent_of(other) for other in all_pids()}
    found = {pid}
    for _ in range(10):
        found |= {child for child, parent in parents.items() if parent in found}
    return found


def test_a_host_that_is_cut_off_is_named_with_why(
    lastbatch: Call, fleet: tuple[list[Host], str], tmp_path: Path
) -> None:
    """GIVEN three hosts of which one swallows every packet, THEN two are collected in time, and it is named."""
    hosts, _ = fleet
    before = below(hosts[0].pid), set(os.listdir("/tmp")), set(os.listdir("/dev/shm"))
    lost = hosts[2]
    # Its address is still known, so nobody says that it is gone: packets just vanish.
    sh("ip", "neigh", "replace", lost.address, "lladdr", "02:00:00:00:00:01", "dev", lost.link.replace("v2", "b"))
    sh("ip", "link", "set", lost.link, "down")
    found = attach(lastbatch, fleet, "--deadline", 30)
    ranks = {row["host"]: row for row in found["ranks"]}
    assert ranks[hosts[0].address]["rank"] == "worker:0" and ranks[hosts[1].address]["rank"] == "worker:1"
    assert all(ranks[one.address]["stacks_from"] == "py-spy+unwind" for one in hosts[:2])
    assert ranks[lost.address]["state"] == "unreachable"
    assert "did not answer within 30 s" in ranks[lost.address]["why_not"]
    processes = bundle.read(tmp_path / "job.tar.zst").collection.processes
    functions = {frame.function for p in processes for thread in p.threads for frame in thread.frames}
    assert "waits_for_its_peer" in functions
    assert below(hosts[0].pid) == before[0], "no process is left there"
    left = {name for name in set(os.listdir("/tmp")) - before[1] if "memfd" in name or "lastbatch" in name}
    assert not {name for name in left if not name.startswith("lastbatch-guard-")}, "but for other tests' own"
    assert set(os.listdir("/dev/shm")) == before[2]


def test_without_python_there_the_shell_and_gdb_tell(lastbatch: Call, tmp_path: Path) -> None:
    """GIVEN a host whose PATH has no Python, THEN /proc and gdb answer."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "gdb", "uname", "tr", "sleep", "grep", "timeout"):
        if path := shutil.which(name):
            (tools / name).symlink_to(path)
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            via = f"env -i PATH={tools} X={{host}}"
            answer = lastbatch("attach", "--via", via, "--host", "bare", process.pid, *QUICK)
            (row,) = answer.json["ranks"]
            assert row["pid"] == process.pid
            assert row["stacks_from"] == "gdb" or "gdb is not installed" in row["why_not"]
            assert process.poll() is None
        finally:
            process.kill()


def test_collectors_and_children_are_chosen_there_as_here(lastbatch: Call) -> None:
    """GIVEN a parent that waits for its child, THEN only the collector and the process asked for are taken there."""
    program = "import subprocess; subprocess.Popen(['sleep', '600']).wait()"
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        try:
            wait_for(lambda: len(below(process.pid)) == 2, 20)
            there = ("attach", "--via", "env X={host}", "--host", "here", process.pid, *QUICK)
            both = lastbatch(*there).json["ranks"]
            assert {row["rank"] for row in both} >= {f"pid:{process.pid}"} and len(both) == 2
            (row,) = lastbatch(*there, "--collector", "py-spy", "--no-children").json["ranks"]
            assert row["stacks_from"] == "py-spy"
            assert [wait["kind"] for wait in row["waits_for"]] == ["child"]
        finally:
            for pid in below(process.pid):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("via", "name"), [("ssh", "a"), ("ssh {host}", "-oProxyCommand=x"), ("ssh {host}", "a;b"), ("'", "a")]
)
def test_hosts_that_are_no_hosts_are_refused(via: str, name: str) -> None:
    with pytest.raises(UsageError):
        argv_of(via, name)
