"""When a job's memory is looked through without being asked to, and what its receives say of who waits for whom."""

from __future__ import annotations

import os

import msgspec
import pytest

from diagnostics.analyze.waits import find_waits
from diagnostics.frameworks.tensorflow1.enrich import look
from diagnostics.model import Collection, Connection, Frame, Process, Sample, State, Thread, ThreadSample
from diagnostics.model.trace import Escaped, TraceResult, TraceVerdict
from diagnostics.transport import Here

IN_STEP = ("TF_SessionRun", "tensorflow::LocalMaster::RunStep", "pthread_cond_wait")


def client(*functions: str, busy: float = 0.0) -> Process:
    """A process of this machine (this very one) whose main thread is in these functions."""
    frames = tuple(Frame(name, "libtensorflow.so", native=True) for name in functions)
    looks = tuple(Sample(at, (ThreadSample(1, "python", "S", 1.0 + busy * at, 5, 5),)) for at in (1.0, 2.0))
    links = (Connection("a:1", "b:2", "ESTABLISHED", "ps:0"), Connection("a:3", "b:4", "ESTABLISHED", "ps:1"))
    thread = Thread(1, "python", frames)
    return Process("worker:0", os.getpid(), "h", State.HUNG, threads=(thread,), samples=looks, connections=links)


@pytest.mark.parametrize("process", [client(*IN_STEP), client(*IN_STEP, busy=0.9), client("torch::wait")])
def test_what_is_no_stuck_client_of_that_library_is_left_as_it_was(process: Process) -> None:
    """Also where the stack says RunStep, but the process has no such library: it may be another release."""
    collection = Collection(1.0, 2.0, (process,))
    assert look(collection, Here()) is collection


def escaped(rank: str, peer: str) -> Escaped:
    tensor = "/job:ps/replica:0/task:1/cpu:0;1f;/job:worker/replica:0/task:0/cpu:0;edge_7_MatMul;0:0"
    return Escaped(rank, "", "1f", "", "7f00", peer, 0, 0, 0.0, came_back=False, peer_ran=False, tensor=tensor)


def test_a_receive_that_escaped_says_which_server_is_waited_for() -> None:
    """AND one of a server, which holds nobody, says nothing."""
    plain = Collection(1.0, 2.0, (client(*IN_STEP), Process("ps:0", 2, "h", State.IDLE)))
    assert {(wait.rank, wait.on) for wait in find_waits(plain)} == {("worker:0", "ps:0"), ("worker:0", "ps:1")}
    trace = TraceResult(
        "rendezvous", TraceVerdict.PROVEN, "", "memory", "",
        escaped=(escaped("ps:0", "worker:0"), escaped("worker:0", "ps:1")),
    )  # fmt: skip
    (wait,) = find_waits(msgspec.structs.replace(plain, trace=trace))
    assert (wait.rank, wait.on) == ("worker:0", "ps:1") and "edge_7_MatMul" in wait.why
