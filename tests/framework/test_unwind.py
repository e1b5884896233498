"""Stacks taken from copies of registers and stacks: right, and without harm to the target."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import wait_for

from diagnostics.collector import procfs
from diagnostics.collector.stacks.unwind import stop
from diagnostics.collector.stacks.unwind.libdw import Library
from diagnostics.collector.stacks.unwinders import Unwinders, Worker
from diagnostics.transport.program import libraries

pytestmark = pytest.mark.skipif(not stop.is_supported(), reason="unwinds x86-64 only")

NESTED = """
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
int __attribute__((noinline)) innermost(int n) { pthread_mutex_lock(&lock); return n + 1; }
int __attribute__((noinline)) middle(int n) { return innermost(n) + 1; }
static void *outermost(void *x) { middle(1); return x; }
int main(void) {
  pthread_t threads[40];
  pthread_mutex_lock(&lock);
  for (int i = 0; i < 40; i++) pthread_create(&threads[i], 0, outermost, 0);
  puts("ready"); fflush(stdout);
  pthread_join(threads[0], 0);
}
"""

SIGNALLED = """
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>
static volatile long caught;
static void on_alarm(int n) { caught++; }
int main(void) {
  struct itimerval every = {{0, 1000}, {0, 1000}};
  signal(SIGALRM, on_alarm);
  setitimer(ITIMER_REAL, &every, 0);
  puts("ready"); fflush(stdout);
  while (caught < 3000) pause();
  printf("%ld\\n", caught); fflush(stdout);
}
"""


def build(source: str, directory: Path) -> str:
    (directory / "target.c").write_text(source)
    subprocess.run(["gcc", "-O1", "-o", directory / "target", directory / "target.c", "-lpthread"], check=True)
    return str(directory / "target")


def spin_until(condition: Callable[[], bool], seconds: float) -> None:
    """Without sleeping, so that a state of some milliseconds is met most of the time; goes on all the same."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        pass


@pytest.fixture
def unwinders() -> Iterator[Unwinders]:
    with Unwinders(libraries=libraries()) as found:
        yield found


def started(program: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([program], stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "ready\n"
    return process


def test_every_thread_shows_where_it_is(unwinders: Unwinders, tmp_path: Path) -> None:
    with started(build(NESTED, tmp_path)) as process:
        try:
            waits = wait_for(lambda: [t for t in procfs.sample_threads(process.pid) if t.state == "S"], 10)
            assert len(waits) >= 1
            wait_for(lambda: all(t.state == "S" for t in procfs.sample_threads(process.pid)), 10)
            reading = unwinders.read(process.pid, 20)
            stacks = [[frame[0] for frame in frames] for _, _, _, frames in reading.threads or ()]
            assert len(stacks) == 41
            assert all(s.index("outermost") < s.index("middle") < s.index("innermost") for s in stacks[1:])
            assert "main" in stacks[0]
            assert all(t.state == "S" for t in procfs.sample_threads(process.pid))
        finally:
            process.kill()


def test_threads_that_sleep_are_read_without_a_stop_and_show_the_same(unwinders: Unwinders, tmp_path: Path) -> None:
    """GIVEN threads that sleep, THEN nobody is stopped, when they last ran stays known, and frames are as of a stop."""
    with started(build(NESTED, tmp_path)) as process:
        try:
            wait_for(lambda: all(t.state == "S" for t in procfs.sample_threads(process.pid)), 10)
            switches = [t.voluntary + t.involuntary for t in procfs.sample_threads(process.pid)]
            reading = unwinders.read(process.pid, 20)
            assert (reading.pause, reading.stopped) == (0.0, 0)
            assert [t.voluntary + t.involuntary for t in procfs.sample_threads(process.pid)] == switches
            mappings = stop.read_mappings(process.pid)
            with Library(libraries()).open(process.pid, mappings) as unwinding:
                asleep = unwinding.unwind(stop.quiet(process.pid, mappings).values())
                assert len(asleep) == 41
                assert asleep == unwinding.unwind(stop.take(process.pid, mappings).threads)
        finally:
            process.kill()


def test_a_thread_that_runs_is_stopped_alone(unwinders: Unwinders) -> None:
    """GIVEN one thread that computes and one that sleeps, THEN only the first is stopped."""
    sleeps = "import threading, time; threading.Thread(target=time.sleep, args=(600,)).start()"
    argv = [sys.executable, "-c", f"{sleeps}; print('ready', flush=True)\nwhile True: pass"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout and process.stdout.readline() == "ready\n"
            wait_for(lambda: {t.state for t in procfs.sample_threads(process.pid)} == {"R", "S"}, 30)
            reading = wait_for(lambda: (found := unwinders.read(process.pid, 20)).stopped == 1 and found, 10)
            assert len(reading.threads or ()) == 2 and reading.pause > 0
        finally:
            process.kill()


def test_a_stopped_process_is_read_and_stays_stopped(unwinders: Unwinders, tmp_path: Path) -> None:
    with started(build(NESTED, tmp_path)) as process:
        try:
            process.send_signal(signal.SIGSTOP)
            wait_for(lambda: procfs.state_of(process.pid) == "T", 10)
            assert len(unwinders.read(process.pid, 20).threads or ()) == 41
            wait_for(lambda: procfs.state_of(process.pid) == "T", 10)
            process.send_signal(signal.SIGCONT)
            wait_for(lambda: procfs.state_of(process.pid) == "S", 10)
        finally:
            process.kill()


def test_no_signal_is_lost_or_made_up(unwinders: Unwinders, tmp_path: Path) -> None:
    """GIVEN a program that a timer signals every millisecond, WHEN it is read a hundred times, THEN it ends well."""
    with started(build(SIGNALLED, tmp_path)) as process:
        for _ in range(100):
            if process.poll() is None and procfs.exists(process.pid):
                unwinders.read(process.pid, 20)
        assert process.stdout and int(process.stdout.readline()) >= 3000
        assert process.wait(60) == 0


def test_a_killed_unwinder_leaves_nothing_stopped(tmp_path: Path) -> None:
    """GIVEN unwinders that are killed at any moment, THEN the target runs on each time."""
    with started(build(NESTED, tmp_path)) as process:
        try:
            for _ in range(30):
                worker = Worker(libraries())
                worker.begin(b"%d" % process.pid)
                spin_until(lambda: procfs.state_of(process.pid) == "t", 0.2)
                worker.end()
                wait_for(lambda: procfs.state_of(process.pid) == "S", 10)
            assert os.waitpid(process.pid, os.WNOHANG) == (0, 0)
        finally:
            process.kill()
