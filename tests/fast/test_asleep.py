"""Ranks of which nothing runs any more: told at once, and never of who may still be woken."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from diagnostics.analyze.asleep import asleep_for_good
from diagnostics.analyze.job import judge_all
from diagnostics.analyze.progress import Limits
from diagnostics.model import (
    BlockingCall,
    Collection,
    Connection,
    Frame,
    Listener,
    Process,
    Sample,
    State,
    Thread,
    ThreadSample,
)
from diagnostics.pipeline import explain
from diagnostics.stacks.position import classify_all

LOCK = (Frame("lock_PyThread_acquire_lock", native=True), Frame("sem_wait", "libc.so.6", native=True))
READ = (Frame("__libc_read", "libc.so.6", native=True),)
RECV = (Frame("__libc_recv", "libc.so.6", native=True),)
SLEEP = (Frame("clock_nanosleep", "libc.so.6", native=True),)


def process(pid: int, *calls: BlockingCall, inner: tuple[Frame, ...] = LOCK, wakes: int = 0, **more: Any) -> Process:
    """A process with a thread for each call, which stand still, but for its first where `wakes`."""
    own = Frame("train", "/job/train.py", 30)
    samples = tuple(
        Sample(
            100.0 + n,
            tuple(
                ThreadSample(one.tid, "python", "S", 1.0, 5 + n * wakes * (one.tid == pid), 5, last_ran=3.0 + n)
                for one in calls
            ),
        )
        for n in (0, 1)
    )
    threads = tuple(Thread(one.tid, frames=(own, *(SLEEP if one.kind == "time" else inner))) for one in calls)
    return Process(f"worker:{pid}", pid, "h", threads=threads, samples=samples, blocking_calls=calls, **more)


def names(*processes: Process) -> frozenset[str]:
    return asleep_for_good(classify_all(Collection(0.0, 1.0, processes)))


def futex(tid: int, **more: object) -> BlockingCall:
    return BlockingCall(tid, "futex", "futex", hex(tid), **more)  # type: ignore[arg-type]


def pipe(tid: int, *others: int) -> BlockingCall:
    return BlockingCall(tid, "read", "pipe", "pipe:[9]", others=others)


def sleep(tid: int, seconds: float) -> BlockingCall:
    return BlockingCall(tid, "clock_nanosleep", "time", limited=True, ends_in=seconds)


def test_threads_that_only_wait_for_each_other_never_wake() -> None:
    alone = process(7, futex(7), futex(8))
    assert names(alone) == {"worker:7"}
    found = judge_all(classify_all(Collection(0.0, 1.0, (alone,))), Limits()).processes[0]
    assert found.state is State.HUNG and found.since == 4.0


@pytest.mark.parametrize(
    "other",
    [
        sleep(8, 2.0),
        futex(8, limited=True, ends_in=5.0),
        BlockingCall(8, "read", "terminal", "/dev/pts/1"),
        BlockingCall(8, "openat", "file", "/mnt/x (nfs4 of server:/x)"),
        BlockingCall(8, "accept4", "socket", "127.0.0.1:99"),
        BlockingCall(8, "pause", "signal"),
        pipe(8),
        pipe(8, 4711),
        BlockingCall(8, "poll", "several", "1 file, 2 sockets"),
    ],
    ids=lambda call: f"{call.kind} {call.what}",
)
def test_a_thread_that_may_be_woken_keeps_its_process_out_of_it(other: BlockingCall) -> None:
    assert not names(process(7, futex(7), other))


def test_a_thread_that_ran_between_the_samples_does_so_too() -> None:
    assert not names(process(7, futex(7), futex(8), wakes=1))


def test_a_sleep_of_a_day_wakes_nobody() -> None:
    assert names(process(7, futex(7), sleep(8, 86400.0))) == {"worker:7"}


def test_a_thread_whose_stack_was_read_after_its_sleep_has_moved() -> None:
    """GIVEN a generator's thread that slept when its call was read, and waits for the next batch in its stack."""
    both = process(7, futex(7), sleep(8, 86400.0))
    later = tuple(msgspec.structs.replace(one, frames=(*one.frames[:1], *LOCK)) for one in both.threads)
    assert not names(msgspec.structs.replace(both, threads=later))


def test_two_that_read_from_each_other_are_asleep_and_whoever_waits_for_one_that_works_is_not() -> None:
    both = [process(7, pipe(7, 9), inner=READ), process(9, pipe(9, 7), inner=READ)]
    assert names(*both) == {"worker:7", "worker:9"}
    assert not names(both[0], process(9, pipe(9, 7), inner=READ, wakes=3))


def linked(pid: int, own: str, other: str, **more: object) -> Process:
    call = BlockingCall(pid, "recvfrom", "socket", f"{own} -> {other}")
    one = Connection(own, other, "ESTABLISHED", **more)  # type: ignore[arg-type]
    return process(pid, call, inner=RECV, connections=(one,))


def test_a_connection_has_to_lead_to_one_of_them_and_to_be_empty() -> None:
    a, b = "127.0.0.1:1", "127.0.0.1:2"
    assert names(linked(7, a, b), linked(9, b, a)) == {"worker:7", "worker:9"}
    assert not names(linked(7, a, b), linked(9, b, a, unsent=5))
    assert not names(linked(7, a, b, unread=5), linked(9, b, a))
    assert not names(linked(7, a, b)), "its other end was not looked at"


def test_a_server_in_a_thread_may_be_asked() -> None:
    """GIVEN a program that takes jobs from a queue, WHEN a thread of it serves an address, THEN the next may come."""
    serves = (
        Frame("BaseServer.serve_forever", "/usr/lib/python3.12/socketserver.py", 235),
        Frame("_PollLikeSelector.select", "/usr/lib/python3.12/selectors.py", 415),
        Frame("poll", "libc.so.6", native=True),
    )
    takes = (Frame("Queue.get", "/usr/lib/python3.12/queue.py", 171), *LOCK)
    for call in (
        BlockingCall(8, "poll", "socket", "127.0.0.1:99"),
        BlockingCall(8, "poll", "several", "1 listening socket, 1 pipe"),
    ):
        server = process(7, futex(7), call, inner=takes, listens=("127.0.0.1:99",))
        threads = (server.threads[0], Thread(8, frames=serves))
        server = msgspec.structs.replace(server, rank="pid:7", threads=threads)
        assert not names(server)
        limits = Limits(stands=1.0)
        assert judge_all(classify_all(Collection(0.0, 1.0, (server,))), limits).processes[0].state is State.IDLE


def test_a_pool_of_servers_that_nobody_asks_is_idle_and_so_is_who_keeps_them() -> None:
    """GIVEN children that accept on a socket of their parent's, WHEN nobody connects, THEN none of them hangs."""
    given: dict[str, Any] = {"listens": ("127.0.0.1:99",), "listeners": (Listener("127.0.0.1:99", 0, 5),), "parent": 7}
    accept = tuple(BlockingCall(pid, "accept4", "socket", "127.0.0.1:99") for pid in (8, 9))
    inner = (Frame("accept4", "libc.so.6", native=True),)
    workers = [process(one.tid, one, inner=inner, **given) for one in accept]
    workers = [msgspec.structs.replace(one, rank=f"child/pid:7/{one.pid}") for one in workers]
    wait = BlockingCall(7, "wait4", "child", "any", others=(8, 9))
    keeper = msgspec.structs.replace(process(7, wait, inner=(Frame("wait4", "libc.so.6", native=True),)), rank="pid:7")
    for limits in (Limits(), Limits(stands=1.0)):
        found = judge_all(classify_all(Collection(0.0, 1.0, (keeper, *workers))), limits)
        assert {one.state for one in found.processes} == {State.IDLE}


@pytest.mark.parametrize(("other", "for_good"), [("tensorflow::data::model::Model::OptimizeLoop", False), ("", True)])
def test_an_input_that_ends_waits_for_its_tuner_which_wakes_by_itself(other: str, for_good: bool) -> None:
    ends = "tensorflow::data::RootDataset::Iterator::~Iterator()"
    one = process(1, futex(1), futex(2))
    stacks = [(Frame(name, "libtensorflow.so", native=True), *LOCK) if name else LOCK for name in (ends, other)]
    threads = tuple(
        Thread(tid, frames=(Frame("train", "/job/train.py", 30), *inner)) for tid, inner in enumerate(stacks, 1)
    )
    assert names(msgspec.structs.replace(one, threads=threads)) == ({one.rank} if for_good else set())


OF_GRPC = [
    Frame("_poll_connectivity", "/opt/venv/lib/python3.12/site-packages/grpc/_channel.py"),
    Frame("grpc_completion_queue_next", "_pywrap_tensorflow_internal.so", native=True),
    Frame("grpc_core::ExecCtx::Flush", "/opt/venv/lib/python3.12/site-packages/grpc/_cython/cygrpc.so", native=True),
]
CALLED_LIKE_IT = [
    Frame("ask", "/data/grpc_job/grpc_client.py"),
    Frame("grpc_client_ask", "/data/grpc_job/train.py"),
    Frame("grpc_client_ask", "/data/grpc_job/libclient.so", native=True),
]


@pytest.mark.parametrize("frame", [*OF_GRPC, *CALLED_LIKE_IT], ids=lambda frame: frame.file.rpartition("/")[2])
def test_grpc_connects_again_by_itself_and_what_is_called_like_it_does_not(frame: Frame) -> None:
    one = process(1, futex(1), futex(2), inner=(frame, *LOCK))
    assert names(one) == (frozenset() if frame in OF_GRPC else {"worker:1"})


def test_of_a_sleep_whose_end_is_known_the_next_one_tells_nothing() -> None:
    """GIVEN who works by the clock, THEN only what runs between two sleeps says whether it is well: not that it sleeps
    again a minute later. Of who waits without an end, a minute tells."""
    found = explain(Collection(0.0, 1.0, (process(7, sleep(7, 40.0)),)))[1]
    assert found.hung is None
    assert any("the sleep of worker:7, which ends within 40 s, is over" in wanted for wanted in found.next_evidence)
    assert not any("is stuck" in wanted for wanted in found.next_evidence)
    both = explain(Collection(0.0, 1.0, (process(7, sleep(7, 40.0)), process(8, pipe(8, 99), inner=READ))))[1]
    assert any("is stuck" in wanted for wanted in both.next_evidence)
