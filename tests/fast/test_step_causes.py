"""Workers that wait for each other on a server: what may be said of them, and what has to stay unknown."""

from __future__ import annotations

from typing import Any

import msgspec
from test_late_recv import STUCK, job, looks, recording, server, thread, worker

from diagnostics.model import Collection, Diagnosis, Frame, OpenSpan, Process, Sample, Thread
from diagnostics.pipeline import explain

RESTS = Thread(
    1, "MainThread", (Frame("main", "train.py"), Frame("wait", "threading.py"), Frame("wait", "threading.py"))
)
READS_FILE = Thread(1, "MainThread", (Frame("load_rows", "train.py"), Frame("read", "libc.so.6", native=True)))
RUNNER = msgspec.structs.replace(thread(9, STUCK), name="QueueRunnerThread-dummy_queue-sync_token_q_EnqueueMany")
MEETS = Thread(1, "MainThread", (Frame("wait_for_all", "train.py", 41), *thread(1, STUCK).frames))
UNSTAGES = ("start_thread", "NonBlockingThreadPoolTempl::WorkerLoop", "UnstageOp::Compute", "pthread_cond_wait")
ASKS = ("TF_ExtendGraph", "tensorflow::LocalMaster::CreateSession", "pthread_cond_wait")
SAYS = "I tensorflow/core/distributed_runtime/master.cc:267] CreateSession still waiting for response from worker: "


def meaning(*processes: Process) -> Diagnosis:
    return explain(Collection(1.0, 2.0, processes))[1]


def without_recorder(rank: str, *threads: Thread, **more: Any) -> Process:
    return worker(rank, flight=None, threads=threads, **more)


CHIEF = without_recorder("worker:0", thread(1, STUCK), RUNNER)
LEFT = without_recorder("worker:1", RESTS)


def at_barrier(rank: str) -> Process:
    flight = recording(4, (9,))
    spans = (OpenSpan("epoch", 7.0, 40, 3), OpenSpan("barrier", 6.0, 49, 3, "epoch"))
    return worker(rank, flight=msgspec.structs.replace(flight, open=spans))


def test_a_worker_that_has_left_starves_synchronous_replicas() -> None:
    found = meaning(CHIEF, LEFT, server("ps:0"))
    assert (found.verdict, found.findings[0].cause) == ("sync-starvation", "tf-sync-tokens")


def test_a_worker_that_still_reads_may_give_its_gradient() -> None:
    """GIVEN a worker that waits for its own input, THEN the others only wait for it."""
    assert meaning(CHIEF, without_recorder("worker:1", READS_FILE), server("ps:0")).verdict == "unknown"
    moves = without_recorder("worker:1", RESTS, samples=looks("R", busy=True))
    assert meaning(CHIEF, moves, server("ps:0")).verdict == "unknown"


def test_without_the_name_of_the_place_nobody_knows_what_workers_wait_for() -> None:
    ranks = [without_recorder(f"worker:{index}", thread(1, STUCK)) for index in (0, 1)]
    found = meaning(*ranks, server("ps:0"))
    assert found.verdict == "unknown"
    assert any("recorder.barrier" in wanted for wanted in found.next_evidence)


def test_the_place_tells_that_workers_wait_at_a_barrier() -> None:
    """GIVEN the recorder's open span, or a function that is named so, THEN a token is missing."""
    for ranks in ([at_barrier(f"worker:{index}") for index in (0, 1)], [without_recorder("worker:0", MEETS), LEFT]):
        found = meaning(*ranks, server("ps:0"))
        assert (found.verdict, found.findings[0].cause) == ("sync-starvation", "tf-barrier-short")


def test_whoever_is_on_its_way_is_what_a_barrier_waits_for() -> None:
    trains = without_recorder("worker:1", thread(1, STUCK), samples=looks("R", busy=True))
    for other in (trains, without_recorder("worker:1", READS_FILE)):
        assert meaning(without_recorder("worker:0", MEETS), other, server("ps:0")).verdict == "unknown"


def test_one_operation_that_waits_for_its_feeder_fills_no_pool() -> None:
    one = without_recorder("worker:0", thread(1, STUCK), thread(5, UNSTAGES), samples=_looks_at(5))
    assert meaning(one, server("ps:0")).verdict == "unknown"
    both = [thread(1, STUCK), thread(4, STUCK), thread(5, UNSTAGES), thread(6, UNSTAGES)]
    found = meaning(without_recorder("worker:0", *both, samples=_looks_at(5, 6)), server("ps:0"))
    assert found.verdict == "thread-pool-exhaustion"


def _looks_at(*tids: int) -> tuple[Sample, ...]:
    """Two looks also at these threads, which stand still."""
    return tuple(
        msgspec.structs.replace(sample, threads=tuple(msgspec.structs.replace(one, tid=tid) for tid in (1, *tids)))
        for sample in looks()
        for one in sample.threads
    )


def test_a_session_that_waits_for_a_rank_is_a_start_only_before_the_first_step() -> None:
    """GIVEN a chief that does not answer, THEN a worker that has trained is left behind, and a new one waits for it."""
    lines = (f"{SAYS}/job:worker/replica:0/task:0",)
    first = without_recorder("worker:1", thread(1, ASKS), log_tail=lines, connections=())
    assert meaning(first, server("ps:0")).verdict == "peer-startup"
    again = msgspec.structs.replace(
        first, log_tail=("I master_session.cc:1161] Start master session 7c with config:", *lines)
    )
    assert meaning(again, server("ps:0")).verdict == "chief-gone"


def test_a_race_at_the_end_of_the_input_is_not_taken_for_a_barrier() -> None:
    """GIVEN the abort race on one of two workers, THEN it keeps its name though the other has finished."""
    flight = recording(9, (9,))
    done = msgspec.structs.replace(flight, open=())
    found = explain(job(worker(flight=flight), worker("worker:1", flight=done, threads=(RESTS,))))[1]
    assert found.findings[0].cause == "tf-late-recv-after-abort"
