"""A stuck job is told alike here and through a command, whatever it waits for; who of it sleeps is never stopped."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import wait_for

from diagnostics import pipeline
from diagnostics.analyze.progress import Limits
from diagnostics.collector import procfs
from diagnostics.collector.sched import TaskClocks
from diagnostics.model import Process
from diagnostics.transport import Fleet, Options
from repro.runtimes import Runtime

COLLECTIVE = """
import os, sys, torch.distributed as dist
rank = int(os.environ["RANK"])
dist.init_process_group("gloo", rank=rank, world_size=2, init_method="file://" + sys.argv[1])
dist.barrier()
print("ready", flush=True)
def trains():
    if rank:
        dist.barrier()
    else:
        import queue
        queue.Queue().get()
trains()
"""
RECEIVES = """
import os, sys, torch, torch.distributed as dist
rank = int(os.environ["RANK"])
dist.init_process_group("gloo", rank=rank, world_size=2, init_method="file://" + sys.argv[1])
dist.barrier()
print("ready", flush=True)
def trains():
    dist.recv(torch.ones(1), src=1 - rank)
trains()
"""
STEP = """
import tensorflow as tf
server = tf.train.Server.create_local_server()
queue = tf.FIFOQueue(1, [tf.float32])
element = queue.dequeue()
def trains():
    with tf.Session(server.target) as session:
        print("ready", flush=True)
        session.run(element)
trains()
"""
LOCKS = """
import threading
one, other, both = threading.Lock(), threading.Lock(), threading.Barrier(2)
def trains(first, second):
    with first:
        both.wait()
        with second:
            pass
threading.Thread(target=trains, args=(other, one)).start()
print("ready", flush=True)
trains(one, other)
"""
PIPE = """
import subprocess, sys
talks = "import os; talk = lambda: [os.write(1, b'x' * 4096) for _ in range(1000)]; talk()"
child = subprocess.Popen([sys.executable, "-c", talks], stdout=subprocess.PIPE)
print("ready", flush=True)
def trains():
    child.wait()
trains()
"""
INPUT = """
import queue, socket, sys, threading
source = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
batches = queue.Queue(2)
def reads():
    while True:
        batches.put(source.recv(100))
def trains():
    print("ready", flush=True)
    batches.get()
threading.Thread(target=reads).start()
trains()
"""
JOBS = {
    "collective": (COLLECTIVE, "torch", 2), "receives": (RECEIVES, "torch", 2), "step": (STEP, "tf1.12", 1),
    "locks": (LOCKS, "", 1), "pipe": (PIPE, "", 1), "input": (INPUT, "", 1),
}  # fmt: skip
THERE = Fleet(("here",), "env X={host}")
STANDS = 4.0
"""Seconds after which the first job is called hung: longer than it has stood at the first sample, so more are taken."""


@pytest.fixture(scope="module")
def jobs(runtime: Callable[[str], Runtime], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The process ids of each job, all started together, when all stand still."""
    home, silent = tmp_path_factory.mktemp("meet"), socket.create_server(("127.0.0.1", 0))
    started: dict[str, list[subprocess.Popen[str]]] = {}
    try:
        for name, (text, which, world) in JOBS.items():
            python = str(runtime(which).python) if which else sys.executable
            for rank in range(world):
                env = {"PATH": "/usr/bin:/bin", "RANK": str(rank), "WORLD_SIZE": str(world)}
                one = subprocess.Popen(
                    [python, "-c", text, str(home / name), str(silent.getsockname()[1])], stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL, text=True, env=env,
                )  # fmt: skip
                started.setdefault(name, []).append(one)
        for one in (one for ranks in started.values() for one in ranks):
            assert one.stdout and one.stdout.readline() == "ready\n"
        pids = {name: [one.pid for one in ranks] for name, ranks in started.items()}
        wait_for(lambda: all(_stands(pid) for job in pids.values() for pid in job), 60)
        yield pids
    finally:
        for one in (one for ranks in started.values() for one in ranks):
            for pid in (*procfs.children_of(one.pid), one.pid):
                subprocess.run(["kill", "-9", str(pid)], check=False)
            one.wait()
        silent.close()


@pytest.mark.parametrize("name", JOBS)
def test_a_hung_job_is_told_alike_here_and_through_a_command(name: str, jobs: dict[str, list[int]]) -> None:
    words, limits = [str(pid) for pid in jobs[name]], Limits(stands=STANDS)
    there = pipeline.attach(words, Options(gap=0.5), limits, fleet=THERE)
    here = pipeline.attach(words, Options(gap=0.5), limits)
    assert _told(here) == _told(there)
    assert here.diagnosis.hung and here.diagnosis.culprits
    for one, other in zip(_sorted(here), _sorted(there), strict=True):
        later = here.collection.collected_at - there.collection.collected_at
        assert abs(one.since - other.since - later) < STANDS + 5
    assert max(process.pause for process in here.collection.processes) < 0.1
    functions = {frame.function for p in here.collection.processes for t in p.threads for frame in t.frames}
    assert "trains" in functions


def test_more_samples_are_taken_through_a_command_until_it_is_decided(jobs: dict[str, list[int]]) -> None:
    """GIVEN a wait that may end, WHEN it has not stood for long, THEN it is sampled until it is known to hang."""
    (pid,) = jobs["input"]
    stood = max(one.last_ran for one in _mains(pid))
    found = pipeline.attach([str(pid)], Options(gap=0.5), Limits(stands=stood + 5), fleet=THERE)
    (process,) = found.collection.processes
    assert found.diagnosis.hung and len(process.samples) > 2 and process.later


def _stands(pid: int) -> bool:
    return all(one.last_ran > 1 for one in _mains(pid))


def _mains(pid: int) -> list[procfs.ThreadSample]:
    return [one for one in procfs.sample_threads(pid, TaskClocks()) if one.tid == pid]


def _sorted(answer: pipeline.Answer) -> list[Process]:
    return sorted(answer.collection.processes, key=lambda process: process.pid)


def _told(answer: pipeline.Answer) -> Any:
    found = answer.diagnosis
    return (
        [_seen(process) for process in _sorted(answer)],
        (found.verdict, found.hung, [(finding.cause, finding.family) for finding in found.findings]),
        [(one.rank, one.pid, one.position and (one.position.operation, one.position.place)) for one in found.culprits],
        sorted((wait.rank, wait.on, wait.kind) for wait in found.waits),
    )


def _seen(process: Process) -> Any:
    return (
        process.pid, process.rank, process.state, process.stacks_from, process.versions, process.listens,
        [(p.tid, p.operation, p.function, p.line, p.waits, p.roles) for p in process.positions],
        [(call.tid, call.kind, call.call) for call in process.blocking_calls if call.tid == process.pid],
        process.collectives, process.groups, process.partners, process.framework_why_not,
    )  # fmt: skip
