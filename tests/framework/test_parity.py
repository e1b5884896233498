"""A job of a real framework is told alike here and through a command, and nobody of it is stopped while it sleeps."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_for

from diagnostics import pipeline
from diagnostics.collector import procfs
from diagnostics.model import Diagnosis, Process
from diagnostics.transport import Fleet, Options
from repro.runtimes import Runtime

TORCH = """
import os, socket, sys, torch.distributed as dist
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
TENSORFLOW = """
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
JOBS = {"torch": (TORCH, 2), "tf1.12": (TENSORFLOW, 1)}


@pytest.mark.parametrize("name", sorted(JOBS))
def test_a_hung_job_is_told_alike_here_and_through_a_command(
    runtime: Callable[[str], Runtime], name: str, tmp_path: Path
) -> None:
    text, world = JOBS[name]
    argv = [str(runtime(name).python), "-c", text, str(tmp_path / "meet")]
    ranks = [
        subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={"PATH": "/usr/bin:/bin", "RANK": str(rank), "WORLD_SIZE": str(world)},
        )
        for rank in range(world)
    ]  # fmt: skip
    try:
        for process in ranks:
            assert process.stdout and process.stdout.readline() == "ready\n"
        wait_for(lambda: all(one.last_ran > 1 for pid in _pids(ranks) for one in _mains(pid)), 60)
        words = [str(process.pid) for process in ranks]
        here = pipeline.attach(words, Options(gap=0.5))
        there = pipeline.attach(words, Options(gap=0.5), fleet=Fleet(("here",), "env X={host}"))
        assert _told(here.collection.processes) == _told(there.collection.processes)
        assert _found(here.diagnosis) == _found(there.diagnosis)
        assert max(process.pause for process in here.collection.processes) < 0.1
        functions = {frame.function for p in here.collection.processes for t in p.threads for frame in t.frames}
        assert "trains" in functions
    finally:
        for process in ranks:
            process.kill()
            process.wait()


def _pids(ranks: list[subprocess.Popen[str]]) -> list[int]:
    return [process.pid for process in ranks]


def _mains(pid: int) -> list[procfs.ThreadSample]:
    from diagnostics.collector.sched import TaskClocks

    return [one for one in procfs.sample_threads(pid, TaskClocks()) if one.tid == pid]


def _told(processes: tuple[Process, ...]) -> Any:
    return sorted(
        (
            process.pid, process.rank, process.state, process.stacks_from, process.versions, process.listens,
            [(p.tid, p.operation, p.function, p.line, p.waits, p.roles) for p in process.positions],
            [(call.tid, call.kind, call.call) for call in process.blocking_calls if call.tid == process.pid],
        )
        for process in processes
    )  # fmt: skip


def _found(diagnosis: Diagnosis) -> Any:
    return diagnosis.verdict, diagnosis.hung, [(finding.cause, finding.family) for finding in diagnosis.findings]
