"""Who holds a file's lock and who waits for it; a lock in memory whose owner is gone, and one that others map, too."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import wait_for

from diagnostics.collector import procfs
from diagnostics.model import FileLock, Process
from diagnostics.transport import Options, Target, observe

TAKES = """
import fcntl, sys, time
file = open(sys.argv[1], "a")
print("ready", flush=True)
fcntl.{call}(file, fcntl.LOCK_EX)
print("taken", flush=True)
time.sleep(600)
"""
SHARES = """
import multiprocessing, time
lock = multiprocessing.get_context("fork").Lock()
lock.acquire()
multiprocessing.get_context("fork").Process(target=lock.acquire).start()
print("ready", flush=True)
time.sleep(600)
"""
OWNER_IS_GONE = """
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *takes(void *x) { pthread_mutex_lock(&lock); return x; }
int main(void) {
  pthread_t thread;
  pthread_create(&thread, 0, takes, 0);
  pthread_join(thread, 0);
  puts("ready"); fflush(stdout);
  pthread_mutex_lock(&lock);
}
"""


BATON = """
import os, time
class FileBaton:
    def __init__(self, path):
        self.path = path
    def wait(self):
        while os.path.exists(self.path):
            time.sleep(0.1)
"""
POLLS_A_BATON = """
import os, sys, file_baton
def compiles(build_directory):
    file_baton.FileBaton(os.path.join(build_directory, "lock")).wait()
print("ready", flush=True)
compiles(sys.argv[1])
"""
POLLS_A_PATH = """
import os, sys, time
def until_gone(where, other):
    while os.path.exists(where):
        time.sleep(0.1)
print("ready", flush=True)
until_gone(sys.argv[1] + "/lock", sys.argv[1] + "/other")
"""


@contextmanager
def started(*argv: object) -> Iterator[subprocess.Popen[str]]:
    words = [str(word) for word in argv]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout and process.stdout.readline() == "ready\n"
            yield process
        finally:
            for pid in (*procfs.children_of(process.pid), process.pid):
                subprocess.run(["kill", "-9", str(pid)], check=False)


def seen(*pids: int) -> tuple[Process, ...]:
    return observe([Target(pid) for pid in pids], Options(gap=0.05)).processes


@pytest.mark.parametrize(("call", "kind"), [("flock", "flock"), ("lockf", "posix")])
def test_who_holds_a_file_and_who_waits_for_it(call: str, kind: str, tmp_path: Path) -> None:
    program, path = TAKES.format(call=call), tmp_path / "step.lock"
    with started(sys.executable, "-c", program, path) as holder:
        assert holder.stdout and holder.stdout.readline() == "taken\n"
        with started(sys.executable, "-c", program, path) as waiter:
            wait_for(lambda: "-> " in Path("/proc/locks").read_text() and seen(waiter.pid)[0].locks, 10)
            has, waits = seen(holder.pid, waiter.pid)
            assert has.locks == (FileLock(str(path), kind, False, (holder.pid,)),)
            assert waits.locks == (FileLock(str(path), kind, True, (holder.pid,)),)


@pytest.mark.parametrize("program", [POLLS_A_PATH, POLLS_A_BATON], ids=["path", "baton"])
def test_a_lock_file_that_is_polled_is_named_with_who_has_it_open(program: str, tmp_path: Path) -> None:
    """GIVEN a program that waits until a file is removed, THEN the file is told; files of other names are none."""
    (tmp_path / "file_baton.py").write_text(BATON)
    lock = tmp_path / "lock"
    lock.touch()
    (tmp_path / "other").touch()
    (tmp_path / "main.py").write_text(program)
    with started(sys.executable, tmp_path / "main.py", tmp_path) as process:

        def polled() -> tuple[FileLock, ...]:
            """A sample between two sleeps shows no lock: the next one does."""
            return wait_for(lambda: seen(process.pid)[0].locks, 10)  # type: ignore[no-any-return]

        assert polled() == (FileLock(str(lock), "name", True, ()),)
        with lock.open():
            assert polled() == (FileLock(str(lock), "name", True, (os.getpid(),)),)
        lock.unlink()
        wait_for(lambda: process.poll() == 0, 10)


def test_a_lock_in_shared_memory_tells_who_else_has_it() -> None:
    """GIVEN a child that waits for a lock of multiprocessing, THEN its parent is named, and nobody else."""
    with started(sys.executable, "-c", SHARES) as parent:
        (child,) = wait_for(lambda: procfs.children_of(parent.pid), 10)
        wait_for(lambda: procfs.state_of(child) == "S", 10)
        call = wait_for(lambda: seen(child)[0].blocking_calls, 10)[0]
        assert (call.kind, call.others) == ("futex", (parent.pid,)), call
        assert "/dev/shm/" in call.what


def test_the_owner_of_a_lock_is_told_also_when_it_is_gone(tmp_path: Path) -> None:
    (tmp_path / "gone.c").write_text(OWNER_IS_GONE)
    subprocess.run(["gcc", "-O1", "-o", tmp_path / "gone", tmp_path / "gone.c", "-lpthread"], check=True)
    with started(tmp_path / "gone") as process:
        wait_for(lambda: procfs.state_of(process.pid) == "S", 10)
        (call,) = wait_for(lambda: seen(process.pid)[0].blocking_calls, 10)
        assert call.kind == "futex" and call.holder == 0 and call.others == ()
        assert call.owner > process.pid, "the thread that ended had a number of its own"
