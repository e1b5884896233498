"""A test that hangs fails with the reason, evidence of its whole tree is kept, and nothing of it is left running."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from diagnostics import bundle
from diagnostics.collector.kernel import text_of

THREAD = """
import threading
def test_stuck():
    lock = threading.Lock(); lock.acquire()
    def wait_for_the_lock():
        with lock: pass
    worker = threading.Thread(target=wait_for_the_lock, daemon=True); worker.start(); worker.join()
def test_after(): pass
"""

CHILD = """
import subprocess, sys
def test_stuck():
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    child.wait()
def test_after(): pass
"""

SPAWN = """
import multiprocessing, time
def produce(queue):
    time.sleep(100000)
def test_stuck():
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    context.Process(target=produce, args=(queue,), daemon=True).start()
    queue.get()
def test_after(): pass
"""

NATIVE = """
import ctypes
def test_stuck():
    mutex, lock = ctypes.create_string_buffer(64), ctypes.PyDLL(None).pthread_mutex_lock
    lock(mutex); lock(mutex)  # with the interpreter lock held: no signal handler of Python's can run
"""

AT_EXIT = """
import threading
def test_leaves_a_thread():
    threading.Thread(target=threading.Event().wait).start()
"""


class Ran(NamedTuple):
    code: int
    text: str
    bundles: tuple[Path, ...]


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """pytest on a file of its own, whose processes can be told from all others afterwards."""
    mark = f"LASTBATCH_TEST_{uuid.uuid4().hex}"

    def call(text: str, *options: str) -> Ran:
        (tmp_path / "test_it.py").write_text(text, "utf-8")
        argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q"]
        (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")
        done = subprocess.run(
            [*argv, *options], cwd=tmp_path, env={**os.environ, mark: "1", "PYTHONPATH": str(Path.cwd())},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
        )  # fmt: skip
        left = [pid for pid in os.listdir("/proc") if pid.isdigit() and mark in text_of(f"/proc/{pid}/environ")]
        left = [pid for pid in left if "pytest_plugin.guard" not in text_of(f"/proc/{pid}/cmdline")]
        assert not left, [text_of(f"/proc/{pid}/cmdline") for pid in left]
        return Ran(done.returncode, done.stdout, tuple(sorted((tmp_path / ".lastbatch").glob("*.tar.zst"))))

    return call


@pytest.mark.parametrize(
    ("text", "processes", "place"),
    [(THREAD, 1, "test_stuck"), (CHILD, 2, "test_stuck"), (SPAWN, 3, "produce")],
    ids=["thread", "child", "spawn"],
)
def test_a_test_that_hangs_fails_with_the_answer_and_the_next_one_runs(
    run: Run, text: str, processes: int, place: str
) -> None:
    done = run(text, "--hang-timeout", "2", "-p", "no:timeout")
    assert "1 failed, 1 passed" in done.text and "exceeded its timeout" in done.text, done.text
    assert place in done.text and str(done.bundles[0]) in done.text.replace("\n", "")
    seen = bundle.read(done.bundles[0]).collection.processes
    assert len(seen) >= processes and all(process.threads for process in seen)


def test_the_timeout_of_pytest_timeout_is_the_one_that_counts(run: Run) -> None:
    done = run(THREAD, "--timeout", "2")
    assert "1 failed, 1 passed" in done.text and "What lastbatch found" in done.text, done.text
    assert len(done.bundles) == 1


def test_a_test_that_no_signal_can_end_is_told_before_it_is_killed(run: Run) -> None:
    done = run(NATIVE, "--hang-timeout", "2", "--hang-grace", "1", "-p", "no:timeout")
    assert done.code not in (0, 1) and "did not end by itself: its processes are killed" in done.text, done.text
    assert len(done.bundles) == 1 and "test_stuck" in done.text


def test_under_xdist_each_worker_is_guarded(run: Run) -> None:
    done = run(THREAD, "--hang-timeout", "2", "-n", "2", "-p", "no:timeout")
    assert "1 failed, 1 passed" in done.text and "What lastbatch found" in done.text, done.text
    assert len(done.bundles) == 1


def test_a_thread_that_keeps_pytest_alive_is_told_at_the_end(run: Run) -> None:
    done = run(AT_EXIT, "--hang-timeout", "60", "--hang-exit", "2", "-p", "no:timeout")
    assert "1 passed" in done.text and "keeps pytest alive" in done.text and "_shutdown" in done.text, done.text
    assert len(done.bundles) == 1


def test_a_test_that_ends_in_time_is_left_alone(run: Run) -> None:
    done = run("def test_quick(): pass", "--hang-timeout", "30", "-p", "no:timeout")
    assert done.code == 0 and not done.bundles
