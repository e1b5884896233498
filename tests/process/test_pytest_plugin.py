"""A test that hangs fails with the reason, evidence of its whole tree is kept, and nothing of it is left running."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import Ran

from diagnostics import bundle

Run = Callable[..., Ran]

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

CHILD_AT_EXIT = """
import multiprocessing, threading
def stays():
    threading.Event().wait()
def test_leaves_a_child():
    multiprocessing.get_context("fork").Process(target=stays).start()
"""


@pytest.mark.parametrize(
    ("text", "processes", "place"),
    [(THREAD, 1, "test_stuck"), (CHILD, 2, "test_stuck"), (SPAWN, 3, "produce")],
    ids=["thread", "child", "spawn"],
)
def test_a_test_that_hangs_fails_with_the_answer_and_the_next_one_runs(
    session_of: Run, text: str, processes: int, place: str
) -> None:
    done = session_of(text, "--hang-timeout", "2", "-p", "no:timeout")
    assert "1 failed, 1 passed" in done.text and "exceeded its timeout" in done.text, done.text
    assert "HUNG" in done.text and place in done.text and str(done.bundles[0]) in done.text.replace("\n", "")
    seen = bundle.read(done.bundles[0]).collection.processes
    assert len(seen) >= processes and all(process.threads for process in seen)


def test_the_timeout_of_pytest_timeout_is_the_one_that_counts(session_of: Run) -> None:
    done = session_of(THREAD, "--timeout", "2")
    assert "1 failed, 1 passed" in done.text and "HUNG" in done.text, done.text
    assert len(done.bundles) == 1


def test_a_test_that_no_signal_can_end_is_told_before_it_is_killed(session_of: Run) -> None:
    done = session_of(NATIVE, "--hang-timeout", "2", "--hang-grace", "1", "-p", "no:timeout")
    assert done.code not in (0, 1) and "did not end by itself: its processes are killed" in done.text, done.text
    assert len(done.bundles) == 1 and "test_stuck" in done.text


def test_under_xdist_each_worker_is_guarded(session_of: Run) -> None:
    done = session_of(THREAD, "--hang-timeout", "2", "-n", "2", "-p", "no:timeout")
    assert "1 failed, 1 passed" in done.text and "HUNG" in done.text and "wait_for_the_lock" in done.text, done.text
    assert len(done.bundles) == 1


@pytest.mark.parametrize(("text", "place"), [(AT_EXIT, "_shutdown"), (CHILD_AT_EXIT, "stays")], ids=["thread", "child"])
def test_what_keeps_pytest_alive_is_told_at_the_end(session_of: Run, text: str, place: str) -> None:
    done = session_of(text, "--hang-timeout", "60", "--hang-exit", "2", "-p", "no:timeout")
    assert "1 passed" in done.text and "keeps pytest alive" in done.text and "HUNG" in done.text, done.text
    assert place in done.text and len(done.bundles) == 1, done.text


def test_a_test_that_ends_in_time_is_left_alone(session_of: Run) -> None:
    done = session_of("def test_quick(): pass", "--hang-timeout", "30", "-p", "no:timeout")
    assert done.code == 0 and not done.bundles
