"""Event loops that sleep or stand: which coroutine it is, and what it waits for."""

from __future__ import annotations

import msgspec

from diagnostics.model import (
    BlockingCall,
    Collection,
    Connection,
    Coroutine,
    Diagnosis,
    Frame,
    Process,
    Sample,
    State,
    TasksWatched,
    Thread,
    ThreadSample,
)
from diagnostics.pipeline import explain

LIB = "/usr/lib/python3.11/"
LOOP = (
    Frame("<module>", "/home/u/job.py", 40),
    Frame("Runner.run", LIB + "asyncio/runners.py", 118),
    Frame("BaseEventLoop.run_forever", LIB + "asyncio/base_events.py", 608),
    Frame("BaseEventLoop._run_once", LIB + "asyncio/base_events.py", 1898),
)
ASLEEP = (*LOOP, Frame("EpollSelector.select", LIB + "selectors.py", 468))
ACQUIRE = Frame("Lock.acquire", LIB + "asyncio/locks.py", 114)
WAIT = Frame("Event.wait", LIB + "asyncio/locks.py", 213)


def own(function: str, line: int) -> Frame:
    return Frame(function, "/home/u/job.py", line)


def answer(
    frames: tuple[Frame, ...],
    *coroutines: Coroutine,
    listens: tuple[str, ...] = (),
    connections: tuple[Connection, ...] = (),
) -> Diagnosis:
    looks = tuple(Sample(at, (ThreadSample(7, "python", "S", 1.0, 5, 5),)) for at in (1.0, 60.0))
    call = BlockingCall(7, "epoll_wait", "socket", "socket:[9]", others=(7,))
    process = Process(
        "pid:7", 7, "h", State.UNKNOWN, threads=(Thread(7, "MainThread", frames),), samples=looks, since=59.0,
        coroutines=coroutines, listens=listens, connections=connections,
        blocking_calls=(call,) if frames is ASLEEP else (),
    )  # fmt: skip
    return explain(Collection(100.0, 60.0, (process,)))[1]


def test_a_loop_that_sleeps_stands_where_its_coroutine_does() -> None:
    """AND one that awaits a task is not the one to look at."""
    said = answer(
        ASLEEP,
        Coroutine("Task-1", (own("main", 30),), "_GatheringFuture"),
        Coroutine("Task-2", (own("Actor.turn", 12), WAIT), "_asyncio.Future"),
    )
    position = said.culprits[0].position
    assert position and (position.function, position.line) == ("Actor.turn", 12)
    assert "Event.wait" in position.waits_for


def test_coroutines_that_take_locks_at_different_places_wait_for_each_other() -> None:
    said = answer(
        ASLEEP,
        Coroutine("Task-2", (own("store", 15), ACQUIRE), "_asyncio.Future"),
        Coroutine("Task-3", (own("evict", 22), ACQUIRE), "_asyncio.Future"),
    )
    assert (said.verdict, said.findings[0].cause) == ("lock-order", "coroutine-locks")


def test_a_file_of_the_programs_that_is_called_like_asyncios_is_the_programs() -> None:
    """GIVEN tasks that await in a locks.py of the program's own, THEN it is no lock of asyncio."""
    acquire = Frame("Lease.acquire", "/home/u/myasyncio/locks.py", 30)
    said = answer(
        ASLEEP,
        Coroutine("Task-2", (own("store", 15), acquire), "_asyncio.Future"),
        Coroutine("Task-3", (own("evict", 22), acquire), "_asyncio.Future"),
    )
    assert "coroutine-locks" not in [finding.cause for finding in said.findings]
    position = said.culprits[0].position
    assert position and (position.function, position.file) == ("Lease.acquire", "/home/u/myasyncio/locks.py")
    assert "which awaits" not in position.waits_for


def test_a_coroutine_that_waits_in_plain_code_stops_its_loop() -> None:
    """AND the same wait outside of a loop is not taken for it."""
    result = Frame("Future.result", LIB + "concurrent/futures/_base.py", 451)
    condition = Frame("Condition.wait", LIB + "threading.py", 320)
    handler = (*LOOP, Frame("Handle._run", LIB + "asyncio/events.py", 80), own("handler", 25), result, condition)
    assert answer(handler).findings[0].cause == "event-loop-blocked"
    outside = answer((own("<module>", 40), own("handler", 25), result, condition))
    assert "event-loop-blocked" not in [finding.cause for finding in outside.findings]


READS = Frame("StreamReader._wait_for_data", LIB + "asyncio/streams.py", 540)
SERVES = Frame("Server.serve_forever", LIB + "asyncio/base_events.py", 372)


def test_a_loop_that_serves_nobody_rests_and_one_that_asks_itself_does_not() -> None:
    """GIVEN a process that is connected to itself alone, THEN its tasks tell whether it serves."""
    inner, outer = "127.0.0.1:9000", "127.0.0.1:4000"
    both = (Connection(inner, outer, "ESTABLISHED", "pid:7"), Connection(outer, inner, "ESTABLISHED", "pid:7"))

    def hung(*coroutines: Coroutine) -> bool | None:
        return answer(ASLEEP, *coroutines, listens=(inner,), connections=both).hung

    serving, reading = Coroutine("Task-1", (own("serve", 30), SERVES)), Coroutine("Task-2", (own("ask", 9), READS))
    assert hung(serving, reading) is False
    assert hung(reading) is not False


def test_a_queue_of_threads_in_a_coroutine_blocks_its_loop() -> None:
    """GIVEN a coroutine that takes from a plain queue, and nobody else there THEN it is its own loop that stands."""
    run = Frame("Handle._run", LIB + "asyncio/events.py", 84)
    get, wait = Frame("Queue.get", LIB + "queue.py", 171), Frame("Condition.wait", LIB + "threading.py", 327)
    said = answer((*LOOP, run, own("Batcher.flush", 9), get, wait))
    assert said.verdict == "callback-deadlock" and said.findings[0].cause == "event-loop-blocked"
    assert all(one.cause != "condition-lost-wakeup" for one in said.findings)


def test_a_loop_that_wakes_for_a_heartbeat_alone_hangs() -> None:
    """GIVEN tasks that were seen to stand, but for one that sleeps and reports THEN what that one writes is no work."""
    looks = tuple(
        Sample(at, (ThreadSample(7, "python", "S", 1.0 + at / 1000, 5 + int(at), 5),), io_bytes=int(100 * at),
               io_written=int(100 * at), log_bytes=int(100 * at))
        for at in (1.0, 5.0)
    )  # fmt: skip
    call = BlockingCall(7, "epoll_wait", "socket", "socket:[9]", others=(7,), limited=True, ends_in=2.0)
    waits = Coroutine("Task-2", (own("Stage.build", 12), WAIT), "_asyncio.Future")
    process = Process(
        "pid:7", 7, "h", State.UNKNOWN, threads=(Thread(7, "MainThread", ASLEEP),), samples=looks,
        coroutines=(waits,), blocking_calls=(call,), tasks_watched=TasksWatched(20.0, True, "metrics, every 2 s"),
    )  # fmt: skip
    said = explain(Collection(100.0, 60.0, (process,)))[1]
    assert said.hung and said.verdict == "lost-wakeup" and said.culprits[0].rank == "pid:7"
    moving = msgspec.structs.replace(process, tasks_watched=TasksWatched(2.0))
    assert explain(Collection(100.0, 60.0, (moving,)))[1].hung is False
