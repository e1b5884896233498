"""Threads that feed a queue: one that has failed, and one that writes what nobody takes."""

from __future__ import annotations

import re

import pytest
from test_causes_by_family import LOCK, PY, SITE, process, stack

from diagnostics.collector.sources import feeders
from diagnostics.model import BlockingCall, Collection, Diagnosis, Process
from diagnostics.pipeline import explain

TF = "@_pywrap_tensorflow_internal.so"
POOL = stack(
    "start_thread @libc.so.6", "Eigen::ThreadPoolTempl<tensorflow::thread::EigenEnvironment>::WorkerLoop "
    "@libtensorflow_framework.so.1", "std::condition_variable::wait @libstdc++.so.6", "pthread_cond_wait @libc.so.6",
)  # fmt: skip
STEP = stack(
    "<module> /home/ada/job/wide.py:90", "fit /home/ada/job/wide.py:71",
    f"run {SITE}tensorflow_core/python/client/session.py:956",
    f"_call_tf_sessionrun {SITE}tensorflow_core/python/client/session.py:1443",
    f"tensorflow::DirectSession::Run {TF}", f"tensorflow::DirectSession::WaitForNotification {TF}",
    f"nsync::nsync_cv_wait_with_deadline {TF}", "syscall @libc.so.6",
)  # fmt: skip
TRACEBACK = (
    "Exception in thread reader-0:", "Traceback (most recent call last):", '  File "wide.py", line 30, in pump',
    "    yield decode(row)", "KeyError: 'user_id'",
)  # fmt: skip
FED = {
    "printed by Python": TRACEBACK,
    "caught and printed": ("step 3 824.72", "step 4: loss 0.9", "reader: KeyError('user_id')"),
    "with steps of what it had read ahead": ("step 3 8.2", "feeder: KeyError('user_id')", "step 4 8.1", "READY"),
    "with its module": ("epoch 1, loss: 3.2", "tensorflow.python.framework.errors_impl.CancelledError: closed"),
}
UNFED = {
    "nothing": (),
    "before any step": ("reading 12 files", "ImportError: no module named lz4", "building the graph"),
    "of the library": ("step 1 0.3", "2026-01-01 W tensorflow/core/x.cc:1] Error: no device", "step 2 0.2"),
    "and went on": ("step 1 0.3", "retry: TimeoutError('no answer')", *(f"step {n} 0.2" for n in range(2, 30))),
}


def told(*processes: Process) -> Diagnosis:
    found = explain(Collection(1.0, 2.0, processes))[1]
    assert not found.errors
    return found


@pytest.mark.parametrize("log", FED)
def test_a_feeder_that_has_failed_is_a_stalled_input(log: str) -> None:
    """GIVEN a step that waits in its own session, and a log that tells how a thread failed, THEN nothing was forgotten
    to be started, and the advice is to pass the exception on."""
    found = told(process("pid:100", STEP, POOL, POOL, watched=30.0, log_tail=FED[log]))
    assert (found.verdict, found.findings[0].cause) == ("input-stall", "input-stall")
    assert any(re.search(r"(KeyError|CancelledError)\W", one.fact) for one in found.findings[0].evidence)
    assert "exception" in found.findings[0].remedy[0]


@pytest.mark.parametrize("log", UNFED)
def test_queue_runners_that_were_never_started_stay_that(log: str) -> None:
    found = told(process("pid:100", STEP, POOL, POOL, watched=30.0, log_tail=UNFED[log]))
    assert found.findings[0].cause == "tf-queue-not-started"


FEEDS_ITSELF = """
def pump(sess, put, rows):
    for row in rows:
        sess.run(put, {ROW: row})
put = queue.enqueue([ROW])
threading.Thread(target=pump, args=(sess, put, rows)).start()
"""
HAS_RUNNERS = "queue.enqueue(row)\nThread(target=watch)\ncoord = tf.train.Coordinator()\n"


def test_who_fills_a_queue_is_told_by_the_programs_source() -> None:
    """THEN threads of the program's own are told from queue runners; a batch that is only named so is no runner."""
    assert feeders.feeds_itself([FEEDS_ITSELF, "conf.train.batch_size = 8"])
    for makes in ("tf.train.start_queue_runners(sess)", "x, y = tf.train.batch([x, y], 8)", "QueueRunner(q, [e])"):
        assert not feeders.feeds_itself([FEEDS_ITSELF, f"{HAS_RUNNERS}{makes}"])
    assert not feeders.feeds_itself(["x = tf.data.Dataset.from_tensors(1)", "Thread(target=report)"])


def test_a_queue_that_a_thread_of_the_programs_own_filled_is_a_stalled_input() -> None:
    """GIVEN a step that waits, and a source that fills its queue by a thread, of which none is left, and no word in the
    log, THEN nobody is told to start queue runners; where a thread is in a step it may be the one that feeds."""
    found = told(process("pid:100", STEP, POOL, POOL, watched=30.0, feeds_itself=True))
    assert (found.verdict, found.findings[0].cause) == ("input-stall", "input-stall")
    assert "close the queue" in found.findings[0].remedy[0]
    assert not any("start_queue_runners" in text for text in found.findings[0].remedy)
    found = told(process("pid:100", STEP, STEP, POOL, watched=30.0, feeds_itself=True))
    assert "input-stall" not in [one.cause for one in found.findings]


LEAVES = stack(
    "<module> <string>:1", f"spawn_main {PY}multiprocessing/spawn.py:116",
    f"_bootstrap {PY}multiprocessing/process.py:317",
    f"_exit_function {PY}multiprocessing/util.py:360", f"_run_finalizers {PY}multiprocessing/util.py:300",
    f"_finalize_join {PY}multiprocessing/queues.py:199", f"join {PY}threading.py:1096",
    f"_wait_for_tstate_lock {PY}threading.py:1116", LOCK,
)  # fmt: skip
FEEDS = stack(
    f"_bootstrap_inner {PY}threading.py:1016", f"run {PY}threading.py:953", f"_feed {PY}multiprocessing/queues.py:251",
    f"send_bytes {PY}multiprocessing/connection.py:200", f"_send {PY}multiprocessing/connection.py:368",
    "write @libc.so.6",
)  # fmt: skip


def leaving(*others: int, parent: int = 50, pid: int = 100) -> Process:
    calls = [BlockingCall(pid + 1, "write", "pipe", "pipe:[7]", others=others)] if others else []
    return process(f"pid:{pid}", LEAVES, FEEDS, pid=pid, parent=parent, watched=30.0, calls=calls)


def test_a_child_alone_tells_that_its_queue_is_not_drained() -> None:
    """GIVEN a child whose parent was not looked at, THEN its feeder's write says who has to read."""
    found = told(leaving(50, 60), leaving(50, pid=60))
    assert (found.verdict, found.findings[0].cause) == ("pipe-full", "queue-not-drained")
    assert "process 50, its parent, has the pipe's other end, and was not looked at" in found.findings[0].title
    assert any("attach 50" in one for one in found.findings[0].missing)


@pytest.mark.parametrize("child", [leaving(77), leaving()], ids=["another's pipe", "which pipe is not known"])
def test_a_child_whose_parent_has_no_end_of_the_pipe_blames_no_parent(child: Process) -> None:
    assert all(one.cause != "queue-not-drained" for one in told(child).findings)
