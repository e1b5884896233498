"""Where a server stands for a client that waits for its answer: in the thread that serves it, not in `accept`."""

from __future__ import annotations

import pytest

from diagnostics.model import (
    BlockingCall,
    Collection,
    Connection,
    Diagnosis,
    Frame,
    Process,
    Sample,
    State,
    Thread,
    ThreadSample,
)
from diagnostics.pipeline import explain
from diagnostics.report.document import as_json

ASKS, ANSWERS = "127.0.0.1:5000", "127.0.0.1:80"
RECV = Frame("__libc_recv", "libc.so.6", native=True)
TAKE = Frame("lock_PyThread_acquire_lock", "libpython3.11.so", native=True)
CPU = (Frame("solve", "server.py", 3),)
ACCEPT = (Frame("serve", "server.py", 17), Frame("accept", "/usr/lib/python3.11/socket.py", 293),
          Frame("accept4", "libc.so.6", native=True))  # fmt: skip
READS = (Frame("handle", "server.py", 12), RECV)
STORES = (Frame("store", "server.py", 30), TAKE)
HANDLES = (Frame("handle", "server.py", 14), TAKE)


def looks(stood: float, *tids: int, runs: int = 0) -> tuple[Sample, ...]:
    def thread(tid: int, at: float) -> ThreadSample:
        moves = tid == runs
        return ThreadSample(
            tid, "x", "S", 1.0 + at * moves, 5 + int(at * moves), 5, last_ran=0.0 if moves else stood + at
        )

    return tuple(Sample(at, tuple(thread(tid, at) for tid in tids)) for at in (0.0, 1.0))


def client(stood: float) -> Process:
    asks = (Frame("lookup", "client.py", 32), RECV)
    call = BlockingCall(1, "recvfrom", "socket", f"{ASKS} -> {ANSWERS}", peer="pid:2")
    link = Connection(ASKS, ANSWERS, "ESTABLISHED", peer="pid:2", last_sent=stood, last_received=stood)
    return Process(
        "worker:0", 1, "a", threads=(Thread(1, "x", asks),), samples=looks(stood, 1), blocking_calls=(call,),
        connections=(link,),
    )  # fmt: skip


def server(stood: float, *threads: tuple[Frame, ...], runs: int = 0) -> Process:
    stacks = (Thread(2, "x", ACCEPT), *(Thread(number, "x", frames) for number, frames in enumerate(threads, 3)))
    calls = [BlockingCall(2, "accept4", "socket", ANSWERS)]
    for one in stacks[1:]:
        if one.frames == READS:
            calls.append(BlockingCall(one.tid, "recvfrom", "socket", f"{ANSWERS} -> {ASKS}", peer="worker:0"))
        elif one.frames != CPU:
            calls.append(BlockingCall(one.tid, "futex", "futex", hex(one.tid)))
    link = Connection(ANSWERS, ASKS, "ESTABLISHED", peer="worker:0", last_sent=stood, last_received=stood)
    return Process(
        "pid:2", 2, "a", threads=stacks, samples=looks(stood, *(one.tid for one in stacks), runs=runs),
        blocking_calls=tuple(calls), connections=(link,), listens=(ANSWERS,),
    )  # fmt: skip


def told(*processes: Process) -> tuple[Collection, Diagnosis]:
    return explain(Collection(0.0, 0.0, processes))


@pytest.mark.parametrize(
    ("threads", "place"),
    [((READS,), "handle (server.py:12)"), ((HANDLES, HANDLES), "handle (server.py:14)")],
    ids=["it reads", "all that are left wait for a lock"],
)
def test_the_thread_that_serves_a_client_is_where_the_server_stands(
    threads: tuple[tuple[Frame, ...], ...], place: str
) -> None:
    collection, diagnosis = told(client(30.0), server(30.0, *threads))
    assert diagnosis.hung
    assert ("worker:0", "pid:2 thread 3") in {(wait.rank, wait.on) for wait in diagnosis.waits}
    shown = {row["rank"]: row["position"] for row in as_json(collection, diagnosis, None)["ranks"]}
    assert f"{shown['pid:2']['function']} ({shown['pid:2']['file']}:{shown['pid:2']['line']})" == place
    assert place in {one.position.place for one in diagnosis.culprits if one.position}


def test_who_reads_from_each_other_over_one_connection_waits_in_a_circle() -> None:
    _, diagnosis = told(client(3.0), server(3.0, READS))
    assert diagnosis.hung and "wait for each other in a circle" in diagnosis.standing
    assert diagnosis.culprits[0].rank == "worker:0"


def test_a_reader_beside_a_thread_that_may_answer_tells_nothing_at_once() -> None:
    """GIVEN a server that reads the next request in one thread, and answers the last in another."""
    assert told(client(3.0), server(3.0, READS, STORES))[1].hung is None


def test_who_waits_for_a_server_that_computes_does_not_hang() -> None:
    collection, diagnosis = told(client(60.0), server(60.0, READS, CPU, runs=4))
    assert not diagnosis.hung and collection.processes[0].state is State.IDLE


@pytest.mark.parametrize(("stood", "named"), [(40.0, True), (22.0, False)], ids=["as long", "since a while ago"])
def test_who_came_to_stand_after_the_wait_began_is_not_named_for_it(stood: float, named: bool) -> None:
    _, diagnosis = told(client(40.0), server(stood, HANDLES, HANDLES))
    sure = {one.cause: one.confidence for one in diagnosis.findings}["process-elsewhere"]
    assert (sure > 0.5) is named


PY = "/usr/lib/python3.11/"


@pytest.mark.parametrize("reads", [False, True])
def test_a_managers_lock_that_no_client_can_release_is_told_of_its_server(reads: bool) -> None:
    """GIVEN clients that wait for their Manager's answer, whose threads there all wait for one lock, and a parent that
    sleeps by the clock, THEN the Manager is named, not the parent. Where another client's thread reads, that client may
    have the lock, and is named where it stands."""
    serves = (Frame("serve_client", f"{PY}multiprocessing/managers.py", 273), TAKE)
    rests = (Frame("serve_client", f"{PY}multiprocessing/managers.py", 240), RECV)
    forever = (Frame("serve_forever", f"{PY}multiprocessing/managers.py", 176),
               Frame("wait", f"{PY}threading.py", 327), TAKE)  # fmt: skip
    asks = (Frame("tell", "crew.py", 9), Frame("_callmethod", f"{PY}multiprocessing/managers.py", 820), RECV)
    stacks = (forever, serves, serves, *([rests] if reads else []))
    threads = tuple(Thread(number, "x", frames) for number, frames in enumerate(stacks, 2))
    calls = tuple(
        BlockingCall(one.tid, "read", "socket", "socket:[5]", others=(22,)) if one.frames == rests
        else BlockingCall(one.tid, "futex", "futex", "0x1" if one.tid == 2 else "0x7f00")
        for one in threads
    )  # fmt: skip
    manager = Process(
        "child/pid:1/2", 2, "a", threads=threads, samples=looks(50.0, *(one.tid for one in threads)),
        blocking_calls=calls, parent=1,
    )  # fmt: skip
    sleeps = (Frame("run", "crew.py", 30), Frame("clock_nanosleep", "libc.so.6", native=True))
    main = Process(
        "pid:1", 1, "a", threads=(Thread(1, "x", sleeps),),
        samples=looks(0.2, 1, runs=1), blocking_calls=(BlockingCall(1, "clock_nanosleep", "time", ends_in=0.5),),
    )  # fmt: skip
    clients = [
        Process(
            f"child/pid:1/{pid}", pid, "a", threads=(Thread(pid, "x", asks),), samples=looks(50.0, pid), parent=1,
            blocking_calls=(BlockingCall(pid, "read", "socket", f"socket:[{pid}]", others=(2,)),),
        )
        for pid in (20, 21)
    ]  # fmt: skip
    holder = Process(
        "child/pid:1/22", 22, "a", threads=(Thread(22, "x", (Frame("render", "crew.py", 17), RECV)),), parent=1,
        samples=looks(50.0, 22), blocking_calls=(BlockingCall(22, "recvfrom", "socket", "127.0.0.1:7 -> 10.0.0.9:80"),),
    )  # fmt: skip
    told, found = explain(Collection(1.0, 1.0, (main, manager, *clients, *([holder] if reads else []))))
    assert not found.errors
    left = [one.confidence for one in found.findings if one.cause == "shared-lock-left"]
    if reads:
        assert not left and found.culprits[0].rank == "child/pid:1/22"
        assert found.culprits[0].position and found.culprits[0].position.function == "render"
        return
    assert (found.hung, found.verdict) == (True, "helper-process-dead") and left[0] > 0.8
    assert [one.rank for one in found.culprits] == ["child/pid:1/2"]
    assert told.processes[1].since > 50.0
    assert found.standing.startswith("child/pid:1/20, child/pid:1/21 wait for child/pid:1/2 in Manager's answer")
