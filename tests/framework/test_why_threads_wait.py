"""Why each thread waits, as the kernel tells it: mutexes with their holders, connections, pipes, children, files."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import Answer, lacking, wait_for

from diagnostics.collector import procfs
from diagnostics.collector.kernel import text_of
from diagnostics.collector.sources import blocking_calls as asleep
from diagnostics.errors import MissingError
from repro.cluster.disk import mounted

Call = Callable[..., Answer]

DEADLOCK = """
#include <pthread.h>
#include <stdio.h>
static pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER, b = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;
static void *other(void *x) {
  pthread_mutex_lock(&b); pthread_barrier_wait(&both); pthread_mutex_lock(&a); return x;
}
int main(void) {
  pthread_t thread;
  pthread_barrier_init(&both, 0, 2);
  pthread_mutex_lock(&a);
  pthread_create(&thread, 0, other, 0);
  puts("ready"); fflush(stdout);
  pthread_barrier_wait(&both);
  pthread_mutex_lock(&b);
}
"""
KINDS_OF_MUTEX = """
#include <pthread.h>
#include <stdio.h>
#include <string.h>
static pthread_mutex_t lock;
static void *waits(void *x) { pthread_mutex_lock(&lock); return x; }
int main(int count, char **words) {
  pthread_mutexattr_t kind;
  pthread_t thread;
  pthread_mutexattr_init(&kind);
  if (!strcmp(words[1], "robust")) pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
  if (!strcmp(words[1], "inherit")) pthread_mutexattr_setprotocol(&kind, PTHREAD_PRIO_INHERIT);
  if (!strcmp(words[1], "recursive")) pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
  if (!strcmp(words[1], "checked")) pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
  pthread_mutex_init(&lock, &kind);
  pthread_mutex_lock(&lock);
  pthread_create(&thread, 0, waits, 0);
  puts("ready"); fflush(stdout);
  pthread_join(thread, 0);
}
"""
SERVES = """
import socket, threading
server = socket.create_server(("127.0.0.1", 0)); print(server.getsockname()[1], flush=True)
peer, _ = server.accept()
threading.Event().wait()
"""
ASKS = """
import socket, sys
peer = socket.create_connection(("127.0.0.1", int(sys.argv[1]))); print("ready", flush=True)
peer.recv(1)
"""
READS_A_PIPE = """
import os, subprocess, sys
reading, writing = os.pipe()
child = subprocess.Popen(["sleep", "600"], pass_fds=[writing]); os.close(writing)
print(child.pid, flush=True)
os.read(reading, 1)
"""
WAITS_FOR_A_CHILD = """
import subprocess
child = subprocess.Popen(["sleep", "600"]); print(child.pid, flush=True)
child.wait()
"""
READS_A_FILE = """
import signal, sys
signal.signal(signal.SIGUSR1, lambda *_: None)
file = open(sys.argv[1], "rb", 0); print("ready", flush=True)
while True: file.seek(0); file.read(1)
"""


@contextmanager
def running(*argv: object, **options: Any) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and the line that it says when it is ready."""
    with subprocess.Popen([str(word) for word in argv], stdout=subprocess.PIPE, text=True, **options) as process:
        try:
            assert process.stdout
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def waits_in(pid: int, call: str) -> Callable[[], bool]:
    """Whether its first thread sleeps in a call whose kernel function has this in its name."""
    return lambda: call in text_of(f"/proc/{pid}/wchan")


def stands(pid: int, seconds: float = 0.3) -> bool:
    """Whether the process was not scheduled for a while."""
    before = procfs.sample_threads(pid)
    time.sleep(seconds)
    return procfs.sample_threads(pid) == before


def attach(lastbatch: Call, *pids: object, more: Sequence[object] = ("--resample", 0)) -> Any:
    answer = lastbatch("attach", *pids, "--gap", 0.2, "--collector", "py-spy", "--collector", "unwind", *more, "--json")
    assert "Traceback" not in answer.err, answer.err
    return answer.json


def rank_of(found: Any, pid: int) -> Any:
    return next(row for row in found["ranks"] if row["pid"] == pid)


def test_two_threads_that_hold_each_others_mutex_are_a_circle(lastbatch: Call, tmp_path: Path) -> None:
    (tmp_path / "deadlock.c").write_text(DEADLOCK)
    subprocess.run(["gcc", "-O1", "-o", tmp_path / "deadlock", tmp_path / "deadlock.c", "-lpthread"], check=True)
    with running(tmp_path / "deadlock") as (process, _):
        (other,) = {int(path.name) for path in Path(f"/proc/{process.pid}/task").iterdir()} - {process.pid}
        wait_for(lambda: "futex" in text_of(f"/proc/{process.pid}/task/{other}/wchan"), 10)
        wait_for(waits_in(process.pid, "futex"), 10)
        found = attach(lastbatch, process.pid, more=())
        held = {row["tid"]: row["holder"] for row in rank_of(found, process.pid)["waits_for"]}
        assert held == {process.pid: other, other: process.pid}
        main = f"pid:{process.pid}"  # a rank stands where its main thread does
        edges = {(wait["rank"], wait["on"]) for wait in found["waits"]}
        assert edges == {(main, f"{main} thread {other}"), (f"{main} thread {other}", main)}
        assert found["verdict"] == "lock-order"


def both_wait(pid: int) -> bool:
    return len(asleep.look_at([pid], {})[pid]) == 2


def test_every_kind_of_mutex_names_its_holder_and_a_join_names_none(tmp_path: Path) -> None:
    (tmp_path / "kinds.c").write_text(KINDS_OF_MUTEX)
    subprocess.run(["gcc", "-O1", "-o", tmp_path / "kinds", tmp_path / "kinds.c", "-lpthread"], check=True)
    for kind in ("normal", "recursive", "checked", "robust", "inherit"):
        with running(tmp_path / "kinds", kind) as (process, _):
            wait_for(partial(both_wait, process.pid), 30)
            joins, waits = asleep.look_at([process.pid], {})[process.pid]
            assert (waits.kind, waits.holder) == ("mutex", process.pid), kind
            assert (joins.kind, joins.holder) == ("futex", 0), kind


def test_who_reads_from_a_connection_waits_for_its_peer(lastbatch: Call) -> None:
    """GIVEN one that asks and one that never answers, THEN the first waits for the second, and nobody for the first."""
    with running(sys.executable, "-c", SERVES) as (server, port), \
         running(sys.executable, "-c", ASKS, port) as (asker, _):  # fmt: skip
        wait_for(waits_in(asker.pid, "wait_woken"), 10)
        found = attach(lastbatch, server.pid, asker.pid)
        (wait,) = found["waits"]
        assert (wait["rank"], wait["on"]) == (f"pid:{asker.pid}", f"pid:{server.pid}")
        (row,) = rank_of(found, asker.pid)["waits_for"]
        assert row["call"] == "recvfrom" and row["what"].endswith(f" -> 127.0.0.1:{port}")


@pytest.mark.parametrize(("program", "kind"), [(READS_A_PIPE, "pipe"), (WAITS_FOR_A_CHILD, "child")])
def test_pipes_and_children_name_the_other_process(lastbatch: Call, program: str, kind: str) -> None:
    with running(sys.executable, "-c", program) as (process, child):
        try:
            wait_for(waits_in(process.pid, "wait" if kind == "child" else "pipe_read"), 10)
            found = attach(lastbatch, process.pid)
            (row,) = rank_of(found, process.pid)["waits_for"]
            assert (row["kind"], row["others"]) == (kind, [int(child)])
            assert [(w["rank"], w["on"]) for w in found["waits"]] == [
                (f"pid:{process.pid}", f"child/pid:{process.pid}/{child}")
            ]
        finally:
            subprocess.run(["kill", child], check=False)


@pytest.mark.parametrize("state", ["S", "D"])
def test_a_file_that_is_not_answered_is_named_and_its_reader_not_touched(
    lastbatch: Call, state: str, tmp_path: Path
) -> None:
    """GIVEN a reader of a dead disk, asleep or in state D, its log there too, THEN file and disk are told, in time."""
    try:
        with mounted(tmp_path / "disk") as disk:
            path = disk.directory / "data"
            path.write_bytes(b"x" * 10)
            argv: tuple[object, ...] = (sys.executable, "-c", READS_A_FILE, path)
            # Whoever else has the log open waits for the disk as well when it closes it.
            argv = ("sh", "-c", f'exec "$@" 2>{disk.directory}/log', "sh", *argv)
            with running(*argv) as (reader, _):
                disk.stall()
                try:
                    wait_for(lambda: waits_in(reader.pid, "request_wait_answer")() and stands(reader.pid), 30)
                    if state == "D":
                        reader.send_signal(signal.SIGUSR1)  # the kernel then waits on without listening to signals
                    wait_for(lambda: procfs.state_of(reader.pid) == state, 10)
                    found = lastbatch("attach", reader.pid, "--gap", 0.2, "--resample", 0, "--json", timeout=120).json
                    (rank,) = found["ranks"]
                    (row,) = rank["waits_for"]
                    assert (row["kind"], row["call"]) == ("file", "read")
                    assert row["what"].startswith(f"{path} (fuse of lastbatch-disk")
                    assert rank["pause_ms"] == 0.0, "nobody may ptrace it"
                    assert procfs.state_of(reader.pid) == state
                    assert rank["stacks_from"] == "kernel+py-spy+unwind", "and all the same its stack is known"
                finally:
                    disk.answer()
    except MissingError as error:
        lacking(error)


def test_a_peer_that_was_not_looked_at_is_known_by_its_address(lastbatch: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with running(sys.executable, "-c", ASKS, port) as (asker, _):
            wait_for(waits_in(asker.pid, "wait_woken"), 10)
            found = attach(lastbatch, asker.pid)
            (row,) = rank_of(found, asker.pid)["waits_for"]
            assert row["peer"] == "" and f"127.0.0.1:{port}" in row["words"]
            (wait,) = found["waits"]
            assert (wait["rank"], wait["on"]) == (f"pid:{asker.pid}", f"127.0.0.1:{port}")
