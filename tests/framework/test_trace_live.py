"""Probes on real TensorFlow: the race is proven in a run, in a job that hangs already, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import LASTBATCH, Answer, lacking, wait_for

from diagnostics import pipeline
from diagnostics.collector import procfs
from diagnostics.errors import MissingError
from diagnostics.frameworks.tensorflow1 import bpftrace, session, sets
from diagnostics.transport import Fleet
from repro.cluster import Cluster
from repro.runtimes import Runtime

NOBODY = 65534


@pytest.fixture
def tracing() -> None:
    try:
        bpftrace.check()
    except MissingError as error:
        lacking(error)


@pytest.fixture
def holder(runtime: Callable[[str], Runtime]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has TensorFlow's library mapped and does nothing."""
    library = session.library_of(runtime("tf1.12").python, sets.find("rendezvous"))
    program = (
        "import mmap, sys; file = open(sys.argv[1], 'rb'); held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ);"
        "print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, library], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        yield process
        assert process.poll() is None, "the process that was looked at has ended"
        process.kill()


def probes_of(pid: int) -> int:
    """How many events a process holds open in the kernel."""
    try:
        links = [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return 0
    return links.count("anon_inode:[perf_event]")


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(word) for task in tasks for word in (task / "children").read_text().split()]


def test_a_run_with_trace_proves_the_race_and_names_call_threads_and_server(
    lastbatch: Callable[..., Answer], tracing: None, tmp_path: Path
) -> None:
    answer = lastbatch(
        "run", "last-batch", "--arm", "dataset", "--trace", "--epoch-ends", 100_000, "--time-limit", 300, "--json"
    )

    assert answer.code == 0, answer.err
    (arm,) = answer.json["arms"]
    assert arm["verdict"] == "hung" and arm["finding"]["cause"] == "tf-late-recv-after-abort"
    trace = arm["trace"]
    assert trace["verdict"] == "proven" and not trace.get("lost")
    stuck = [call for call in trace["escaped"] if not call["came_back"]]
    assert stuck and all(call["window"] in "AB" and call["thread"] != call["aborted_by"] for call in stuck)
    assert stuck[0]["peer"] in trace["did_not_run"]
    text = (tmp_path / arm["report"]).read_text()
    assert "Live trace: proven" in text and 'class="sequence"' in text


def test_a_job_that_hangs_already_shows_the_receive_in_its_memory(
    lastbatch: Callable[..., Answer], stuck_job: Cluster, tracing: None
) -> None:
    pids = [member.pid for member in stuck_job.members]
    answer = lastbatch("trace", *pids, "--memory", "--json")

    assert answer.code == 1, answer.err
    trace = answer.json["trace"]
    assert trace["verdict"] == "proven" and trace["method"] == "memory"
    stuck, *others = trace["escaped"]  # on a busy machine more than one can escape
    assert stuck["rank"] == "worker:0" and stuck["peer_ran"] is False
    assert stuck["peer"] in trace["did_not_run"]
    assert set(trace["did_not_run"]) <= {call["peer"] for call in (stuck, *others)}
    task = stuck["peer"].split(":")[1]
    assert stuck["tensor"].startswith(f"/job:ps/replica:0/task:{task}/")
    there = pipeline.attach([str(pid) for pid in pids], fleet=Fleet(("here",), "env X={host}")).collection.trace
    assert there and {call.peer_ran for call in there.escaped if call.peer == stuck["peer"]} == {False}
    assert all(procfs.state_of(pid) in ("S", "R") for pid in pids)


def test_nothing_is_left_when_the_program_is_killed(holder: subprocess.Popen[bytes], tracing: None) -> None:
    with subprocess.Popen(
        [*LASTBATCH, "trace", str(holder.pid), "--seconds", "600"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as program:
        tracer = wait_for(lambda: next((pid for pid in children_of(program.pid) if probes_of(pid) > 5), 0))
        program.send_signal(signal.SIGKILL)
        program.wait()
    wait_for(lambda: not procfs.exists(tracer))

    assert not probes_of(tracer)


def test_a_trace_in_which_nothing_happened_claims_nothing(
    lastbatch: Callable[..., Answer], holder: subprocess.Popen[bytes], tracing: None
) -> None:
    answer = lastbatch("trace", holder.pid, "--seconds", 0.2, "--json")

    assert answer.code == 0, answer.err
    assert answer.json["trace"]["verdict"] != "proven"


def refused(answer: Answer, *words: str) -> None:
    assert answer.code == 3 and len(answer.err.strip().splitlines()) == 1, answer.err
    for word in words:
        assert word in answer.err


def test_without_bpftrace_it_says_how_to_get_it(
    lastbatch: Callable[..., Answer], holder: subprocess.Popen[bytes], tmp_path: Path, tracing: None
) -> None:
    environment: dict[str, Any] = {**os.environ, "PATH": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        answer = lastbatch("trace", busy.pid, env=environment)
        busy.kill()
    refused(answer, "bpftrace is not installed", "apt-get install bpftrace")
    refused(lastbatch("trace", holder.pid, "--probes", "steps", env=environment), "bpftrace is not installed")
    refused(lastbatch("run", "last-batch", "--trace", env=environment), "bpftrace is not installed")


def test_without_bpftrace_a_job_that_hangs_is_proven_by_its_memory(
    lastbatch: Callable[..., Answer], stuck_job: Cluster, tmp_path: Path
) -> None:
    environment: dict[str, Any] = {**os.environ, "PATH": str(tmp_path)}
    answer = lastbatch("trace", *(member.pid for member in stuck_job.members), "--json", env=environment)

    assert answer.code == 1, answer.err
    assert answer.json["trace"]["verdict"] == "proven" and answer.json["trace"]["method"] == "memory"
    assert "bpftrace is not installed: the job stands still" in answer.err


def test_without_root_it_says_so(holder: subprocess.Popen[bytes], tracing: None) -> None:
    """The memory of somebody else's process may not be read either."""
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(NOBODY), "trace", str(holder.pid)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "root" in done.stderr


AS_NOBODY = """
import os, sys
import encodings.idna, pyroute2  # here: nobody may not read where they lie, if that is a home
from repro import cli
os.geteuid = lambda real=os.geteuid: (os.seteuid(int(sys.argv[1])), real())[1]
cli.app(sys.argv[2:])
"""


def test_a_process_without_the_library_is_refused(lastbatch: Callable[..., Answer], tracing: None) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        answer = lastbatch("trace", process.pid)
        process.kill()
    refused(answer, "_pywrap_tensorflow_internal.so")


def test_every_release_has_the_functions(runtime: Callable[[str], Runtime]) -> None:
    probe_set = sets.find("all-receives")
    for name in ("tf1.4", "tf1.8", "tf1.12", "tf1.13", "tf1.15"):
        plan = session.plan(probe_set, session.library_of(runtime(name).python, probe_set))
        events = {place.probe.event for place in plan.places}
        assert events == {"register", "start", "return", "abort", "cancel", "run", "part"}, name


def test_doctor_says_in_which_runtimes_the_functions_are_found(
    lastbatch: Callable[..., Answer], runtime: Callable[[str], Runtime]
) -> None:
    runtime("tf1.12")
    runtime("tf2")
    (check,) = [one for one in lastbatch("doctor", "--json").json["checks"] if one["name"] == "symbols to probe"]

    can, _, cannot = check["found"].partition("; not in ")
    assert check["ok"] and "tf1.12" in can and "tf2" in cannot
