"""Circles and ends among ranks that wait for each other."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.analyze.beside import _first_that_moves, undecided
from diagnostics.analyze.facts import Facts
from diagnostics.analyze.job import judge_all
from diagnostics.analyze.progress import Limits
from diagnostics.analyze.summary import standing_of
from diagnostics.analyze.wait_graph import cycles, graph_of, sinks, where_to_look
from diagnostics.analyze.waits import find_waits
from diagnostics.causes import condition_lost_wakeup
from diagnostics.model import (
    BlockingCall,
    Collection,
    Connection,
    Culprit,
    Diagnosis,
    Frame,
    Process,
    Sample,
    State,
    Thread,
    ThreadSample,
    Wait,
    WaitKind,
)
from diagnostics.model.rank import launcher
from diagnostics.pipeline import explain
from diagnostics.report.document import as_json
from diagnostics.stacks.position import classify_all

ranks = st.sampled_from([f"worker:{index}" for index in range(6)])
waits = st.lists(st.builds(Wait, rank=ranks, on=ranks, why=st.just("")), max_size=14)


def reaches(graph: dict[str, frozenset[str]], start: str, end: str) -> bool:
    seen, todo = set(), list(graph[start])
    while todo:
        rank = todo.pop()
        if rank == end:
            return True
        if rank not in seen:
            seen.add(rank)
            todo += graph[rank]
    return False


@given(waits)
def test_a_circle_is_who_can_be_reached_from_itself(given_: list[Wait]) -> None:
    graph = dict(graph_of(given_))
    inside = {rank for group in cycles(graph) for rank in group}
    assert inside == {rank for rank in graph if reaches(graph, rank, rank)}
    for group in cycles(graph):
        assert all(reaches(graph, one, other) for one in group for other in group)


def test_the_end_of_the_chain_is_named() -> None:
    """GIVEN workers that wait for a chief that waits for a server, THEN the server is where to look."""
    chain = [Wait("worker:0", "chief:0", ""), Wait("worker:1", "chief:0", ""), Wait("chief:0", "ps:1", "")]
    assert sinks(graph_of(chain)) == ("ps:1",)
    assert where_to_look(chain)[0].startswith("a look at ps:1 first")


def test_twenty_thousand_in_a_row() -> None:
    row = [Wait(f"w:{index}", f"w:{index + 1}", "") for index in range(20_000)]
    assert sinks(graph_of(row)) == ("w:20000",) and cycles(graph_of(row)) == ()
    assert len(cycles(graph_of([*row, Wait("w:20000", "w:0", "")]))[0]) == 20_001


def in_step(state: State) -> Collection:
    frame = Frame("tensorflow::LocalMaster::RunStep", native=True)
    link = Connection("10.0.0.1:1", "10.0.0.2:2", "ESTABLISHED", peer="ps:0")
    worker = Process("worker:0", 1, "a", state=state, threads=(Thread(1, frames=(frame,)),), connections=(link,))
    return Collection(0.0, 0.0, (worker, Process("ps:0", 2, "b", state=State.IDLE)))


def test_a_worker_that_progresses_waits_for_nobody() -> None:
    """GIVEN a worker in a step, THEN it waits for its server if it hangs, and for nobody if its steps go on."""
    assert [(wait.rank, wait.on) for wait in find_waits(in_step(State.HUNG))] == [("worker:0", "ps:0")]
    assert find_waits(in_step(State.PROGRESSING)) == ()


def test_only_a_thread_that_stands_still_waits() -> None:
    """GIVEN a thread that reads from a peer, THEN it waits for that peer, unless it ran between the two samples."""

    def looks(*switches: int) -> tuple[Sample, ...]:
        return tuple(Sample(at, (ThreadSample(1, "t", "S", 1.0, n, 0),)) for at, n in enumerate(switches))

    sleep = BlockingCall(1, "recvfrom", "socket", "10.0.0.1:1 -> 10.0.0.2:2", peer="worker:1")
    still = Process("worker:0", 1, "a", state=State.HUNG, samples=looks(5, 5), blocking_calls=(sleep,))
    runs = Process("worker:0", 1, "a", state=State.HUNG, samples=looks(5, 6), blocking_calls=(sleep,))
    assert [(w.rank, w.on) for w in find_waits(Collection(0.0, 0.0, (still,)))] == [("worker:0", "worker:1")]
    assert find_waits(Collection(0.0, 0.0, (runs,))) == ()


def test_a_secret_in_a_path_is_not_shown() -> None:
    path = "/data/x?token=ghp_0123456789abcdefghijklmnopqrstuvwxyz (nfs4 of host:/export)"
    sleep = BlockingCall(1, "openat", "file", path)
    process = Process("worker:0", 1, "a", state=State.HUNG, blocking_calls=(sleep,))
    shown = json.dumps(as_json(Collection(0.0, 0.0, (process,)), Diagnosis("unknown", "", (), ()), None))
    assert "openat on /data/" in shown and "ghp_0123456789" not in shown


def _in_operation(rank: int, operation: str) -> Process:
    library = "/site-packages/torch/distributed/distributed_c10d.py"
    stack = (Frame("<module>", "train.py", 40), Frame("fit", "train.py", 31), Frame(operation, library, 2900))
    return Process(f"worker:{rank}", 100 + rank, "a", threads=(Thread(100 + rank, "python", stack),), dump="py-spy")


def test_the_one_that_differs_from_most_is_named_first() -> None:
    job = [_in_operation(rank, "all_reduce") for rank in range(5)] + [_in_operation(5, "all_gather")]
    _, diagnosis = explain(Collection(0.0, 0.0, tuple(job)))
    first, *rest = diagnosis.culprits
    assert (first.rank, "5 others" in first.why) == ("worker:5", True)
    assert not rest, "the five wait for it, and hold nobody up"
    assert diagnosis.standing.startswith("worker:0-4 wait for worker:5")


def test_two_halves_that_differ_are_named_alike() -> None:
    job = [_in_operation(rank, ("all_reduce", "all_gather")[rank % 2]) for rank in range(4)]
    _, diagnosis = explain(Collection(0.0, 0.0, tuple(job)))
    assert len({one.confidence for one in diagnosis.culprits}) == 1


def test_a_helper_that_cannot_end_is_named_after_the_rank_that_waits_for_it() -> None:
    """GIVEN a child at its exit, with none of the user's code, THEN who joins it is where the mistake is."""
    library = "/usr/lib/python3.11/multiprocessing"
    ends = (
        Frame("_exit_function", f"{library}/util.py", 360),
        Frame("_run_finalizers", f"{library}/util.py", 300),
        Frame("_finalize_join", f"{library}/queues.py", 213),
        Frame("join", "/usr/lib/python3.11/threading.py", 1119),
    )
    joins = (Frame("evaluate", "train.py", 9), Frame("join", f"{library}/process.py", 149))
    parent = Process("worker:1", 10, "a", threads=(Thread(10, "python", joins),), dump="py-spy")
    child = Process("child/worker:1/11", 11, "a", threads=(Thread(11, "python", ends),), parent=10, dump="py-spy")
    _, diagnosis = explain(Collection(0.0, 0.0, (parent, child)))
    first, second = diagnosis.culprits
    assert first.rank == "worker:1" and first.position and first.position.function == "evaluate"
    assert second.position and second.position.waits is WaitKind.JOIN


def _child(pid: int, frames: tuple[Frame, ...], **more: object) -> Process:
    stack = (Thread(pid, "python", frames),)
    looks = tuple(Sample(at, (ThreadSample(pid, "python", "S", 1.0, 5, 5, last_ran=40.0),)) for at in (1.0, 2.0))
    return Process(f"child/pid:10/{pid}", pid, "a", threads=stack, samples=looks, parent=10, **more)  # type: ignore[arg-type]


def test_who_waits_at_a_barrier_of_processes_waits_for_the_one_that_is_elsewhere() -> None:
    """GIVEN workers of multiprocessing, one of which writes into a FIFO that nobody empties, THEN it is the one."""
    library = "/usr/lib/python3.11"
    joins = (Frame("<module>", "train.py", 47), Frame("join", f"{library}/multiprocessing/process.py", 149))
    meets = (
        Frame("worker", "train.py", 35),
        Frame("wait", f"{library}/threading.py", 685),
        Frame("_wait", f"{library}/threading.py", 720),
        Frame("wait_for", f"{library}/multiprocessing/synchronize.py", 313),
        Frame("wait", f"{library}/multiprocessing/synchronize.py", 261),
    )
    fifo = BlockingCall(11, "write", "pipe", "/data/ckpt.fifo (a named pipe)", others=(99,))
    looks = tuple(Sample(at, (ThreadSample(10, "python", "S", 1.0, 5, 5, last_ran=40.0),)) for at in (1.0, 2.0))
    ends = BlockingCall(10, "wait4", "child", others=(11,))
    parent = Process("pid:10", 10, "a", threads=(Thread(10, "python", joins),), samples=looks, blocking_calls=(ends,))
    saves = _child(11, (Frame("worker", "train.py", 33), Frame("save", "train.py", 21)), blocking_calls=(fifo,))
    _, diagnosis = explain(Collection(0.0, 0.0, (parent, saves, _child(12, meets), _child(13, meets))))
    assert diagnosis.culprits[0].rank == "child/pid:10/11", diagnosis.culprits
    assert diagnosis.verdict == "rank-elsewhere", [(one.cause, one.confidence) for one in diagnosis.findings]
    assert {(wait.rank, wait.on) for wait in diagnosis.waits} >= {
        (f"child/pid:10/{pid}", "child/pid:10/11") for pid in (12, 13)
    }


def test_who_waits_for_a_shell_waits_for_what_that_runs() -> None:
    """GIVEN a worker of a fork server that runs a tool by a shell, THEN the others of the program wait for the tool."""
    library = "/usr/lib/python3.11"
    joins = (Frame("<module>", "train.py", 34), Frame("join", f"{library}/multiprocessing/process.py", 149))
    serves = (Frame("main", f"{library}/multiprocessing/forkserver.py", 218),)
    runs = (Frame("archive", "train.py", 11), Frame("check_call", f"{library}/subprocess.py", 408))

    def one(pid: int, parent: int, frames: tuple[Frame, ...], *others: int, cpu: float = 0.0) -> Process:
        name = "pid:10" if pid == 10 else f"child/pid:10/{pid}"
        looks = tuple(
            Sample(at, (ThreadSample(pid, "x", "S", at * cpu, 5 + int(at * cpu), 5, last_ran=0.0 if cpu else 40.0),))
            for at in (1.0, 2.0)
        )
        calls = (BlockingCall(pid, "wait4", "pipe" if pid == 10 else "child", others=others),) if others else ()
        command = ("/bin/sh", "-c", "xz log") if pid == 13 else ("python",)
        return Process(
            name, pid, "a", threads=(Thread(pid, "x", frames),), samples=looks, parent=parent, blocking_calls=calls,
            command=command,
        )  # fmt: skip

    wait = (Frame("wait4", "libc.so.6", native=True),)
    job = (
        one(10, 1, joins, 11), one(11, 10, serves, 12), one(12, 11, runs, 13), one(13, 12, wait, 14),
        one(14, 13, (Frame("lzma_code", "liblzma.so.5", native=True),), cpu=0.9),
    )  # fmt: skip
    judged, diagnosis = explain(Collection(0.0, 0.0, job))
    assert diagnosis.hung is False, [(p.rank, p.state, p.state_why) for p in judged.processes]
    stands = msgspec.structs.replace(job[-1], samples=one(14, 13, (), cpu=0.0).samples)
    judged, diagnosis = explain(Collection(0.0, 0.0, (*job[:-1], stands)))
    assert diagnosis.hung is not False


def test_a_thread_that_only_works_by_the_clock_is_not_blamed_for_what_nobody_brings() -> None:
    """GIVEN a main thread in Queue.get, and a heartbeat, THEN the main thread's place is the one to look at."""
    library = "/usr/lib/python3.11"
    gets = (Frame("fit", "train.py", 3), Frame("get", f"{library}/queue.py", 171))
    beats = (Frame("heartbeat", "train.py", 32), Frame("clock_nanosleep", "libc.so.6", native=True))
    threads = (Thread(1, "x", gets), Thread(2, "x", beats))
    looks = tuple(
        Sample(at, tuple(ThreadSample(tid, "x", "S", 1.0, 5, 5, last_ran=40.0) for tid in (1, 2))) for at in (1.0, 2.0)
    )
    process = Process(
        "pid:1", 1, "a", threads=threads, samples=looks, blocking_calls=(BlockingCall(1, "futex", "futex"),)
    )
    _, diagnosis = explain(Collection(0.0, 0.0, (process,)))
    assert [one.position and one.position.function for one in diagnosis.culprits] == ["fit"]
    assert "heartbeat" in diagnosis.culprits[0].why


def test_who_only_works_by_the_clock_does_not_hang_because_its_own_threads_wait() -> None:
    """GIVEN a main thread in a sleep that is called anew each time, and a pool's thread in its queue."""
    sleeps = (Frame("simulate", "train.py", 9), Frame("clock_nanosleep", "libc.so.6", native=True))
    waits = (Frame("consume", "train.py", 30), Frame("get", "/usr/lib/python3.11/queue.py", 171))
    threads = (Thread(1, "x", sleeps), Thread(2, "x", waits))
    looks = tuple(
        Sample(4.0 * at, (ThreadSample(1, "x", "S", 1.0, at, 5, last_ran=1.0), ThreadSample(2, "x", "S", 1.0, 5, 5)))
        for at in range(6)
    )
    calls = (BlockingCall(1, "clock_nanosleep", "time", ends_in=2.0), BlockingCall(2, "futex", "futex"))
    process = Process("pid:1", 1, "a", threads=threads, samples=looks, blocking_calls=calls)
    assert explain(Collection(0.0, 0.0, (process,)))[1].hung is not True


def test_a_circle_that_goes_through_a_thread_is_told_by_its_ranks() -> None:
    """GIVEN a rank that waits for the answer of another one's thread, which waits for it, THEN both are named."""
    answers = "worker:0 thread 5"
    circle = (Wait("worker:1", answers, "its answer"), Wait(answers, "worker:1", "a socket"))
    job = Collection(0.0, 0.0, (Process("worker:0", 1, "a"), Process("worker:1", 2, "a")))
    said = standing_of(job, "unknown", True, (Culprit("worker:0", 1, "a", 0.8, ""),), circle)
    assert said == "worker:0, worker:1 wait for each other in a circle"


def test_a_thread_of_its_own_is_no_other_process_that_is_to_notify() -> None:
    """GIVEN one that waits at a condition of multiprocessing, beside a heartbeat, THEN a lost notification may be."""
    library = "/usr/lib/python3.11/multiprocessing"
    waits = (Frame("fit", "train.py", 35), Frame("wait", f"{library}/synchronize.py", 261))
    beats = (Frame("heartbeat", "train.py", 32), Frame("clock_nanosleep", "libc.so.6", native=True))
    looks = tuple(
        Sample(at, tuple(ThreadSample(tid, "x", "S", 1.0, 5, 5, last_ran=40.0) for tid in (1, 2))) for at in (1.0, 2.0)
    )
    process = Process("pid:1", 1, "a", threads=(Thread(1, "x", waits), Thread(2, "x", beats)), samples=looks)
    facts = Facts(explain(Collection(0.0, 0.0, (process,)))[0])
    assert [(wait.rank, wait.on) for wait in facts.waits] == [("pid:1", "pid:1 thread 2")]
    assert condition_lost_wakeup.examine(facts)


def _started(pid: int, rank: str, *frames: Frame, command: tuple[str, ...] = ("python", "train.py")) -> Process:
    """Stands still; 10 has started it."""
    looks = tuple(Sample(at, (ThreadSample(pid, "x", "S", 1.0, 5, 5, last_ran=40.0),)) for at in (1.0, 2.0))
    parent = 10 if pid != 10 else 1
    return Process(rank, pid, "a", threads=(Thread(pid, "x", frames),), samples=looks, parent=parent, command=command)


@pytest.mark.parametrize(
    ("command", "related"),
    [(("python", "train.py"), True), (("/usr/bin/python3", "/usr/bin/torchrun", "train.py"), False), (("sh",), False)],
)
def test_only_processes_that_a_program_has_forked_share_a_condition(command: tuple[str, ...], related: bool) -> None:
    """GIVEN a rank at a condition of multiprocessing, and another one elsewhere, of one parent."""
    library = "/usr/lib/python3.11/multiprocessing"
    waits = (Frame("fit", "train.py", 35), Frame("wait", f"{library}/synchronize.py", 261))
    joins = (Frame("main", "run.py", 7), Frame("join", f"{library}/process.py", 149))
    job = (
        _started(10, str(launcher(10)), *joins, command=command), _started(11, "worker:0", *waits),
        _started(12, "worker:1", Frame("load", "train.py", 9)),
    )  # fmt: skip
    found = {(wait.rank, wait.on) for wait in find_waits(Collection(0.0, 0.0, job))}
    assert (("worker:0", "worker:1") in found) is related


def test_a_shell_does_not_wait_for_what_has_ended() -> None:
    """GIVEN a shell that runs one tool after the other, THEN only the one that runs is waited for."""
    wait = Frame("wait4", "libc.so.6", native=True)
    shell = _started(10, "child/worker:0/10", wait, command=("/bin/sh", "-c", "xz log; sync"))
    gone = msgspec.structs.replace(_started(11, "child/worker:0/11"), exit_status=0)
    runs = _started(12, "child/worker:0/12", Frame("sync", "libc.so.6", native=True))
    found = find_waits(Collection(0.0, 0.0, (shell, gone, runs)))
    assert [(one.rank, one.on) for one in found] == [("child/worker:0/10", "child/worker:0/12")]


@pytest.mark.parametrize(("sleep", "stood", "hung"), [(30.0, 25.0, None), (30.0, 70.0, True), (1.0, 25.0, True)])
def test_what_a_sleeping_thread_brings_is_missed_only_after_it_could_have_come(
    sleep: float, stood: float, hung: bool | None
) -> None:
    """GIVEN a main thread in Queue.get, and a thread that sleeps between its rounds: a loader, or a heartbeat."""
    gets = (Frame("fit", "train.py", 3), Frame("get", "/usr/lib/python3.11/queue.py", 171))
    sleeps = (Frame("load", "train.py", 32), Frame("clock_nanosleep", "libc.so.6", native=True))
    looks = tuple(
        Sample(
            at,
            (
                ThreadSample(1, "x", "S", 1.0, 5, 5, last_ran=stood + at),
                ThreadSample(2, "x", "S", 1.0, int(at), 5, last_ran=0.5),
            ),
        )
        for at in (0.0, 1.0)
    )
    calls = (BlockingCall(1, "futex", "futex"), BlockingCall(2, "clock_nanosleep", "time", ends_in=sleep))
    threads = (Thread(1, "x", gets), Thread(2, "x", sleeps))
    process = Process("pid:1", 1, "a", threads=threads, samples=looks, blocking_calls=calls)
    judged, diagnosis = explain(Collection(0.0, 0.0, (process,)))
    assert diagnosis.hung is hung, judged.processes[0].state_why
    assert judged.processes[0].since == stood + 1, "since when is the main thread's, not the monitor's"


def test_one_that_was_woken_is_looked_at_until_it_can_be_told() -> None:
    """GIVEN a batch in eight seconds, THEN it is sampled on, though it will not stand for twenty."""
    stack = (Thread(1, "x", (Frame("fit", "train.py", 3), Frame("get", "/usr/lib/python3.11/queue.py", 171))),)

    def left(*switches: int) -> float | None:
        looks = tuple(
            Sample(
                4.0 * at,
                (
                    ThreadSample(1, "x", "S", 1.0, count, 5, last_ran=2.0),
                    ThreadSample(2, "x", "S", 1.0, at, 5, last_ran=2.0),  # may be the one that brings it
                ),
            )
            for at, count in enumerate(switches)
        )
        futex = (BlockingCall(1, "futex", "futex"),)
        process = Process("pid:1", 1, "a", threads=stack, samples=looks, blocking_calls=futex)
        return undecided(judge_all(classify_all(Collection(0.0, 0.0, (process,)))), Limits())

    assert left(0, 2, 2, 2) == 8.0, "it stands, and has been watched for twelve"
    assert left(0, 2, 2, 3) == 3.0, "it was woken once"
    assert left(0, 2, 2, 3, 5) is None, "it gets on"


@pytest.mark.parametrize("readable", [True, False])
def test_nobody_waits_for_a_rank_whose_stacks_may_not_be_read(readable: bool) -> None:
    """GIVEN another user's process that sleeps, THEN more samples would tell no more of it, and none are taken."""
    looks = tuple(Sample(float(at), (ThreadSample(1, "x", "S", 1.0, 7, 5, last_ran=5.0 + at),)) for at in range(2))
    stack = (Thread(1, "x", (Frame("fit", "train.py", 3), Frame("get", "/usr/lib/python3.11/queue.py", 171))),)
    process = Process("pid:1", 1, "a", threads=stack if readable else (), samples=looks, why_not="not permitted")
    left = undecided(judge_all(classify_all(Collection(0.0, 0.0, (process,)))), Limits())
    assert (left is not None) == readable


def test_who_joins_its_children_is_not_waited_for_by_one_that_reads() -> None:
    """GIVEN a child that reads a queue, whose writing end its parent and a busy sibling have, THEN the sibling owes."""
    library = "/usr/lib/python3.11/multiprocessing"
    gets = (Frame("plan", "run.py", 20), Frame("get", f"{library}/queues.py", 103))
    asks = (Frame("execute", "run.py", 27), Frame("recv_into", "/usr/lib/python3.11/socket.py", 706))
    joins = (Frame("main", "run.py", 7), Frame("join", f"{library}/process.py", 149))
    reads = BlockingCall(11, "read", "pipe", "pipe:[9]", others=(10, 11, 12))
    looks = tuple(Sample(at, (ThreadSample(11, "x", "S", 1.0, 5, 5, last_ran=40.0),)) for at in (1.0, 2.0))
    reader = Process(
        "child/pid:10/11", 11, "a", threads=(Thread(11, "x", gets),), samples=looks, parent=10, blocking_calls=(reads,)
    )
    job = (_started(10, "pid:10", *joins), reader, _started(12, "child/pid:10/12", *asks))
    waits = find_waits(Collection(0.0, 0.0, job))
    assert [wait.on for wait in waits if wait.rank == reader.rank] == ["child/pid:10/12"]
    waits = find_waits(Collection(0.0, 0.0, job[:2]))
    assert [wait.on for wait in waits if wait.rank == reader.rank] == ["pid:10"], "nobody else could write"


@pytest.mark.parametrize("runs", [True, False])
def test_who_waits_for_another_ranks_thread_that_works_does_not_hang(runs: bool) -> None:
    """GIVEN a client whose call a server's thread works on, THEN it hangs only if that thread stands."""
    asks = (Frame("fit", "train.py", 3), Frame("result", "/usr/lib/python3.11/concurrent/futures/_base.py", 451))
    works = (Frame("handle", "server.py", 30), Frame("clock_nanosleep", "libc.so.6", native=True))
    serves = (Frame("main", "server.py", 70), Frame("accept", "/usr/lib/python3.11/socket.py", 295))
    looks = tuple(Sample(at, (ThreadSample(1, "x", "S", 1.0, 5, 5, last_ran=40.0 + at),)) for at in (0.0, 1.0))
    there = tuple(
        Sample(
            at,
            (
                ThreadSample(2, "x", "S", 1.0, 5, 5, last_ran=40.0 + at),
                ThreadSample(3, "x", "R", 1.0 + runs * at, 5, 5),
                ThreadSample(4, "x", "R", 1.0 + at, 5, 5),
            ),
        )
        for at in (0.0, 1.0)
    )
    client = Process("worker:0", 1, "a", threads=(Thread(1, "x", asks),), samples=looks, state=State.UNKNOWN)
    threads = (Thread(2, "x", serves), Thread(3, "x", works), Thread(4, "x", (Frame("crunch", "server.py", 9),)))
    server = Process("worker:1", 2, "a", threads=threads, samples=there, state=State.PROGRESSING)
    known = {"worker:0": client, "worker:1": server}
    assert _first_that_moves(("worker:1 thread 3",), known) == ("worker:1" if runs else "")


def test_who_joins_threads_that_wait_for_locks_is_not_the_place_to_look_at() -> None:
    """GIVEN a main thread that joins two that wait for locks, beside a ticker, THEN one of the two is."""
    joins = (Frame("main", "bank.py", 18), Frame("join", "/usr/lib/python3.11/threading.py", 1112))
    takes = (Frame("move", "bank.py", 9), Frame("lock_PyThread_acquire_lock", "libpython3.11.so", native=True))
    ticks = (Frame("board", "bank.py", 40), Frame("clock_nanosleep", "libc.so.6", native=True))
    stacks = (joins, takes, takes, ticks)
    threads = tuple(Thread(tid, "x", stack) for tid, stack in enumerate(stacks, 1))
    looks = tuple(
        Sample(at, tuple(ThreadSample(tid, "x", "S", 1.0, 5, 5, last_ran=40.0) for tid in range(1, 5)))
        for at in (1.0, 2.0)
    )
    calls = tuple(BlockingCall(tid, "futex", "futex") for tid in (1, 2, 3))
    process = Process("pid:1", 1, "a", threads=threads, samples=looks, blocking_calls=calls)
    _, diagnosis = explain(Collection(0.0, 0.0, (process,)))
    first = diagnosis.culprits[0].position
    assert first and first.function == "move", diagnosis.culprits


def test_of_threads_that_a_compiled_program_joins_the_one_that_stands_is_named() -> None:
    """GIVEN a lost notification in C++, and a thread that prints by the clock, THEN not main's join is the place."""

    def native(*functions: str) -> tuple[Frame, ...]:
        return tuple(
            Frame(name, "encode" if "::" in name or name == "main" else "libc.so.6", native=True) for name in functions
        )

    stacks = (
        native("main", "pthread_join"), native("Mailbox::take", "pthread_cond_wait"),
        native("Progress::loop", "clock_nanosleep"),
    )  # fmt: skip
    threads = tuple(Thread(tid, "x", stack) for tid, stack in enumerate(stacks, 1))
    looks = tuple(
        Sample(at, tuple(ThreadSample(tid, "x", "S", 1.0, 5, 5, last_ran=40.0) for tid in (1, 2, 3)))
        for at in (1.0, 2.0)
    )
    calls = tuple(BlockingCall(tid, "futex", "futex") for tid in (1, 2))
    process = Process("pid:1", 1, "a", threads=threads, samples=looks, blocking_calls=calls, command=("./encode",))
    _, diagnosis = explain(Collection(0.0, 0.0, (process,)))
    first = diagnosis.culprits[0].position
    assert first and first.function == "Mailbox::take", diagnosis.culprits
