"""Stuck processes of every kind: each gives a result or a reason, and goes on as before."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import Answer, wait_for

from diagnostics import bundle
from diagnostics.collector import procfs
from repro.runtimes import discover

Call = Callable[..., Answer]

STUCK_PYTHON = """
import sys, threading, time
def loader():
    time.sleep(600)
def train():
    loader()
thread = threading.Thread(target=loader); thread.daemon = True; thread.start()
sys.stdout.write("ready\\n"); sys.stdout.flush()
train()
"""

STUCK_C = """
#include <pthread.h>
#include <stdio.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *waits_for_lock(void *x) { pthread_mutex_lock(&lock); return x; }
int main(void) {
  pthread_t thread;
  pthread_mutex_lock(&lock);
  pthread_create(&thread, 0, waits_for_lock, 0);
  puts("ready"); fflush(stdout);
  pthread_join(thread, 0);
}
"""

ZOMBIE = """
import os, sys, time
pid = os.fork()
if pid == 0: os._exit(3)
sys.stdout.write("%d\\n" % pid); sys.stdout.flush()
time.sleep(600)
"""


QUICK = ("--gap", 0.2, "--resample", 0, "--json")


@contextmanager
def running(*argv: str, **options: Any) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and the line that it says when it is ready."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, **options) as process:
        try:
            assert process.stdout
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def interpreters() -> dict[str, str]:
    return {found.minor: str(found.python) for found in discover()}


@pytest.fixture
def stuck_c(tmp_path: Path) -> str:
    (tmp_path / "stuck.c").write_text(STUCK_C)
    subprocess.run(["gcc", "-O1", "-o", tmp_path / "stuck", tmp_path / "stuck.c", "-lpthread"], check=True)
    return str(tmp_path / "stuck")


def functions_in(path: Path) -> dict[int, set[str]]:
    found = bundle.read(path).collection.processes
    return {p.pid: {frame.function for thread in p.threads for frame in thread.frames} for p in found}


def test_every_interpreter_and_plain_c(lastbatch: Call, stuck_c: str, tmp_path: Path) -> None:
    """GIVEN CPython 2.7 and 3.6 to 3.13 and a C program, THEN each shows the function that it is stuck in."""
    here = interpreters()
    if not here:
        pytest.skip("no interpreter was found")
    with ExitStack() as stack:
        pids = {v: stack.enter_context(running(path, "-c", STUCK_PYTHON))[0].pid for v, path in here.items()}
        native = stack.enter_context(running(stuck_c))[0].pid
        answer = lastbatch("attach", *pids.values(), native, *QUICK, "--out", "all.tar.zst")
        seen = functions_in(tmp_path / "all.tar.zst")
        for version, pid in pids.items():
            assert {"train", "loader"} <= seen[pid], (version, answer.out)
            assert procfs.state_of(pid) in ("S", "R")
        assert "waits_for_lock" in seen[native], answer.out


def test_stopped_and_zombie_are_told_and_left_alone(lastbatch: Call, tmp_path: Path) -> None:
    with running(interpreters()["3.11"], "-c", STUCK_PYTHON) as (stopped, _), \
         running(interpreters()["3.11"], "-c", ZOMBIE) as (_, zombie):  # fmt: skip
        stopped.send_signal(signal.SIGSTOP)
        wait_for(lambda: procfs.state_of(stopped.pid) == "T" and procfs.state_of(int(zombie)) == "Z", 10)
        answer = lastbatch("attach", stopped.pid, zombie, *QUICK, "--out", "job.tar.zst")
        rows = {row["pid"]: row for row in answer.json["ranks"]}
        assert rows[stopped.pid]["state"] == "hung" and rows[int(zombie)]["state"] == "dead"
        assert "zombie" in rows[int(zombie)]["why_not"]
        assert "train" in functions_in(tmp_path / "job.tar.zst")[stopped.pid], "its memory can be read as it stands"
        assert procfs.state_of(stopped.pid) == "T", "whoever stopped it wants it stopped"


def test_the_list_names_ranks_children_and_peers(lastbatch: Call, tmp_path: Path) -> None:
    """GIVEN two ranks of a torchrun job, one with a child, THEN the list shows them and a selector takes them."""
    child = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    python = interpreters()["3.11"]
    base = os.environ | {"WORLD_SIZE": "3", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(20000 + os.getpid() % 9999)}
    job = f"job:torch-127.0.0.1:{base['MASTER_PORT']}"
    with running(python, "-c", child + STUCK_PYTHON, env=base | {"RANK": "0"}) as (first, _), \
         running(python, "-c", STUCK_PYTHON, env=base | {"RANK": "1"}) as (second, _):  # fmt: skip
        try:
            listed = {entry["job"]: entry for entry in lastbatch("attach", "--list", "--json").json["jobs"]}
            ranks = {row["rank"]: row["pid"] for row in listed[job]["ranks"]}
            (helper,) = (pid for rank, pid in ranks.items() if rank.startswith("child/worker:0/"))
            assert (ranks["worker:0"], ranks["worker:1"]) == (first.pid, second.pid)
            assert listed[job]["missing"] == ["worker:2"]
            answer = lastbatch("attach", job, *QUICK).json
            assert {row["rank"] for row in answer["ranks"]} == {
                "worker:0",
                "worker:1",
                "worker:2",
                f"child/worker:0/{helper}",
            }
            assert next(r for r in answer["ranks"] if r["rank"] == "worker:2")["state"] == "unreachable"
        finally:
            os.kill(helper, signal.SIGKILL)


def test_what_names_no_process_is_said_in_one_line(lastbatch: Call) -> None:
    for word in ("nonsense", "job:none-such", "port:1", "cmd:no such program anywhere"):
        answer = lastbatch("attach", word)
        assert answer.code == 2 and "Traceback" not in answer.err and answer.err.count("\n") == 1, answer.err
