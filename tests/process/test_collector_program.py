"""The collector runs where the processes are: on any CPython from 3.6 on, with the standard library alone, and it tells
the same here and through a command."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_for

from diagnostics.collector import procfs
from diagnostics.discover.hosts import look_for
from diagnostics.discover.scan import scan
from diagnostics.model import Collection, Process
from diagnostics.transport import (
    Fleet,
    Here,
    OnHost,
    Options,
    Reach,
    Target,
    There,
    collect,
    here,
    program,
    ready,
    resample,
)
from diagnostics.transport.command import run_on
from repro.runtimes import discover

HOME = Path(program.HOME)
INTERPRETERS = {found.minor: str(found.python) for found in discover()}
ORDERED = sorted(INTERPRETERS, key=lambda minor: int(minor.partition(".")[2]))
WAITS_FOR_A_LOCK = """
import threading
lock = threading.Lock()
def enters():
    with lock:
        enters()
threading.Thread(target=enters, name="second").start()
print("ready", flush=True)
enters()
"""
WAITS_FOR_A_PIPE = """
import subprocess, sys
talks = "import os; talk = lambda: [os.write(1, b'x' * 4096) for _ in range(1000)]; talk()"
child = subprocess.Popen([sys.executable, "-c", talks], stdout=subprocess.PIPE)
print("ready", flush=True)
def ends():
    child.wait()
ends()
"""
WAITS_FOR_A_FORKED_CHILD = """
import os, threading
lock = threading.Lock()
lock.acquire()
def enters():
    with lock:
        pass
child = os.fork()
if not child:
    enters()
print("ready", flush=True)
os.waitpid(child, 0)
"""
TELLS_ITS_ARGUMENTS = """
import sys, time
print("ready", flush=True)
print(sys.argv, file=sys.stderr, flush=True)
time.sleep(600)
"""
THERE = Fleet(("here",), "env X={host}")
PROGRAMS = {"lock": WAITS_FOR_A_LOCK, "pipe": WAITS_FOR_A_PIPE, "fork": WAITS_FOR_A_FORKED_CHILD}


def family(pid: int) -> tuple[int, ...]:
    return (pid, *procfs.children_of(pid))


@contextmanager
def hung(text: str, python: str = sys.executable) -> Iterator[int]:
    """A program that has said that it is ready and of which nothing moves any more, ended with its children."""
    with subprocess.Popen([python, "-c", text], stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.stdout and process.stdout.readline() == "ready\n"
            wait_for(lambda: all(t.state == "S" for pid in family(process.pid) for t in procfs.sample_threads(pid)), 30)
            yield process.pid
        finally:
            for pid in (*procfs.children_of(process.pid), process.pid):
                subprocess.run(["kill", "-9", str(pid)], check=False)


def answered(python: str, pid: int, **more: Any) -> dict[str, list[Any]]:
    """What the collector says when this interpreter runs it, by kinds of lines."""
    order = program.order(["observe", "stacks"], [{"pid": pid}], Options(gap=0.1), 60.0)
    argv = [python, *program.argv_here()[1:]]
    means = {**program.means_here(), "site": []}
    done = subprocess.run(
        argv, input=json.dumps({**order, **means, **more}), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    found: dict[str, list[Any]] = {}
    for line in done.stdout.splitlines():
        for kind, value in json.loads(line).items():
            found.setdefault(kind, []).append(value)
    return found


@pytest.mark.parametrize("minor", ORDERED)
def test_what_travels_compiles_everywhere(minor: str) -> None:
    files = [str(path) for pattern in program.CARRIED for path in HOME.glob(pattern)]
    assert len(files) > 30
    check = "import sys\nfor path in sys.argv[1:]: compile(open(path, encoding='utf-8').read(), path, 'exec')"
    travel = str(HOME / "transport" / "travel.py")
    subprocess.run([INTERPRETERS[minor], "-c", check, travel, *files], check=True)


@pytest.mark.parametrize("minor", [*ORDERED[:1], *ORDERED[-1:]])
def test_the_oldest_and_the_newest_interpreter_collect_all(minor: str) -> None:
    """GIVEN a hung process, THEN any interpreter tells its samples, calls, versions and stacks."""
    with hung(WAITS_FOR_A_LOCK) as pid:
        found = answered(INTERPRETERS[minor], pid)
        (evidence,), (stacks,) = found["evidence"], found["stacks"]
        assert len(evidence["samples"]) == 2 and len(evidence["samples"][0]["threads"]) == 2
        assert [call["kind"] for call in evidence["blocking_calls"]] == ["futex", "futex"]
        assert evidence["versions"]["libc"] and evidence["versions"]["kernel"]
        assert set(stacks["outputs"]) == {"py-spy", "unwind"}, stacks["attempts"]
        assert not [why for beside in found["beside"] for why in beside["left_out"] if "kernel log" not in why]
        assert found["done"] == [True]
        assert all(thread.state == "S" for thread in procfs.sample_threads(pid))


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_here_and_through_a_command_the_same_is_told(name: str) -> None:
    with hung(PROGRAMS[name]) as pid:
        pids = (pid, *procfs.children_of(pid))
        here = collect([Target(one) for one in pids], Options(gap=0.2))
        there = look_for(THERE, [str(one) for one in pids]).collect(Options(gap=0.2))
        assert told(here) == told(there)
        assert all(process.threads for process in here.processes)


def told(collection: Collection) -> dict[int, Any]:
    """What does not change with time."""
    return {process.pid: _told(process) for process in collection.processes}


def _told(process: Process) -> Any:
    return (
        process.stacks_from, process.command, process.parent, process.versions, process.blocking_calls, process.listens,
        process.locks, process.threads,
        [[(t.tid, t.name, t.state, t.wchan, t.syscall) for t in sample.threads] for sample in process.samples],
        [(attempt.collector, attempt.ok, attempt.why_not) for attempt in process.attempts],
    )  # fmt: skip


def test_no_secret_leaves_a_host(tmp_path: Path) -> None:
    """GIVEN a secret on a command line and in a log, THEN nothing that the host says has it."""
    argv = [sys.executable, "-c", TELLS_ITS_ARGUMENTS, "--api-key=sk-verysecret0123456789"]
    with (tmp_path / "log").open("w") as log, subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log) as process:
        try:
            assert process.stdout and process.stdout.readline() == b"ready\n"
            wait_for(lambda: b"verysecret" in (tmp_path / "log").read_bytes(), 10)
            collects = program.order(["observe"], [{"pid": process.pid}], Options(gap=0.1), 60.0)
            scans = {"do": ["scan"], "keys": ["PATH"], "deadline": 60.0}
            for order in (collects, scans):
                said = run_on("env X={host}", {"here": program.script(order)}, 60.0)["here"]
                assert b"[redacted:" in said.output and b"verysecret" not in said.output, said.why_not
        finally:
            process.kill()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_one_more_sample_is_cheap_and_tells_where_python_stands(elsewhere: bool) -> None:
    """GIVEN a collection, WHEN one more sample is taken, THEN it is added, with the frames of now."""
    with hung(WAITS_FOR_A_LOCK) as pid:
        reach: Reach = look_for(THERE, [str(pid)]) if elsewhere else Here((Target(pid),))
        before = reach.collect(Options(gap=0.1), print)
        after, threads = resample(before, reach)
        (process,) = after.processes
        assert len(process.samples) == 3 and process.samples[2].at > process.samples[1].at
        (main,) = (thread for thread in threads[process.host, pid] if thread.tid == pid)
        assert {frame.function for frame in main.frames} == {"<module>", "enters"}
        assert all(thread.state == "S" for thread in procfs.sample_threads(pid))


@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_is_observed_first_and_stopped_later_is_as_if_it_were_collected_at_once(elsewhere: bool) -> None:
    """GIVEN a process that hangs and one that is gone, THEN both are told alike, by the names that they were given."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    with hung(WAITS_FOR_A_LOCK) as pid:
        targets = (Target(pid, "worker:0"), Target(gone.pid, "ps:0", address="127.0.0.1:2222"))
        there = There(THERE, (OnHost("here", platform.machine(), targets, ("worker:1",)),))
        reach = there if elsewhere else Here(targets, ("worker:1",))
        observed = reach.observe(Options(gap=0.1))
        assert not any(process.threads for process in observed.processes)
        whole, once = reach.add_stacks(observed, Options(gap=0.1)), reach.collect(Options(gap=0.1))
        for found in (whole, once):
            waits, ended = found.processes
            assert found.expected == ("worker:1",) and (waits.rank, ended.rank) == ("worker:0", "ps:0")
            assert ended.listens == ("127.0.0.1:2222",) and not ended.threads
            assert len(waits.samples) == 2 and "enters" in {f.function for t in waits.threads for f in t.frames}
        assert [one.stacks_from for one in whole.processes] == [one.stacks_from for one in once.processes]


def test_a_collector_that_is_begun_ahead_is_no_process_of_a_job_and_is_used_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[subprocess.Popen[bytes]] = []
    begin = here._started

    def note(argv: list[str]) -> subprocess.Popen[bytes]:
        begun.append(begin(argv))
        return begun[-1]

    monkeypatch.setattr(here, "_started", note)
    with hung(WAITS_FOR_A_LOCK) as pid:
        with ready():
            seen = {one.pid for one in scan()}
            assert len(begun) == 1 and pid in seen and begun[0].pid not in seen
            answers = [collect([Target(pid)], Options(gap=0.1)) for _ in range(2)]
            assert len(begun) == 2, "the second order needs a collector of its own"
        assert all(len(answer.processes[0].samples) == 2 and answer.processes[0].threads for answer in answers)
        with ready(each=True):
            assert collect([Target(pid)], Options(gap=0.1)).processes[0].threads
            assert len(begun) == 4, "the next one gets ready meanwhile"
            assert begun[3].pid not in {one.pid for one in scan()}
    with ready():
        assert begun[4].poll() is None
    assert all(collector.poll() is not None for collector in begun), "none is left where no order came"
