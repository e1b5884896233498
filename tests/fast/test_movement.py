"""What counts as getting on of a process whose main thread is seen at one place, and what does not."""

from __future__ import annotations

import msgspec
import pytest

from diagnostics.analyze.movement import movement, position_changed
from diagnostics.analyze.progress import Limits
from diagnostics.analyze.stillness import stood_still
from diagnostics.model import (
    BlockingCall,
    Connection,
    Frame,
    Position,
    Process,
    Role,
    Sample,
    Thread,
    ThreadSample,
    WaitKind,
)
from diagnostics.stacks.position import classify


def test_a_handler_on_top_of_a_lock_that_is_waited_for_is_no_progress() -> None:
    """GIVEN a signal that comes again and again, whose handler takes the lock that the one before waits for."""

    def stack(deep: int, line: int = 18) -> Thread:
        lock = (Frame("on_usr1", "train.py", 27), Frame("dump", "train.py", line))
        return Thread(1, "python", (Frame("add", "train.py", 11), *lock * deep))

    looks = tuple(Sample(at, (ThreadSample(1, "python", "S", 1.0, 5 + int(at), 5),)) for at in (1.0, 2.0))
    lock = (BlockingCall(1, "futex", "futex"),)
    process = Process("pid:1", 1, "a", threads=(stack(1),), later=(stack(9),), samples=looks, blocking_calls=lock)
    waits = msgspec.structs.replace(classify(process).positions[0], waits=WaitKind.LOCK)
    process = msgspec.structs.replace(process, positions=(waits,))
    assert position_changed(process) == ""
    assert position_changed(msgspec.structs.replace(process, later=(stack(9, line=20),))) != ""
    reads = msgspec.structs.replace(waits, waits=WaitKind.SOCKET)
    recv = (BlockingCall(1, "recvfrom", "socket"),)
    other = msgspec.structs.replace(process, positions=(reads,), blocking_calls=recv)
    assert position_changed(other) != "", "whether data came is not known"


def test_a_main_thread_that_others_wake_again_and_again_gets_on() -> None:
    """GIVEN a step a few times in twenty seconds, at one place whenever it is looked at, THEN it does not stand."""

    def looks(*switches: int) -> tuple[Sample, ...]:
        return tuple(
            Sample(
                4.0 * at,
                (
                    ThreadSample(1, "python", "S", 1.0, count, 5, last_ran=1.0),
                    ThreadSample(2, "python", "S", 1.0, count, 5, last_ran=1.0),
                ),
            )
            for at, count in enumerate(switches)
        )

    def moves(call: BlockingCall, *switches: int) -> str:
        waits = Frame("wait", "/usr/lib/python3.11/threading.py", 3)
        stack = Thread(1, "python", (Frame("fit", "train.py", 28), waits))
        process = classify(Process("pid:1", 1, "a", threads=(stack,), samples=looks(*switches), blocking_calls=(call,)))
        return movement(process, Limits()).words

    futex = BlockingCall(1, "futex", "futex")
    assert "woken 12 times" in moves(futex, 0, 2, 4, 8, 12, 16)
    assert moves(futex, 0, 2, 4, 4, 4, 5) == "", "taking stacks wakes it, too, and a signal may"
    assert moves(msgspec.structs.replace(futex, limited=True), 0, 2, 4, 8, 12, 16) == "", "it wakes by itself"


def test_what_a_monitor_writes_is_no_work_of_a_rank_that_stands() -> None:
    """GIVEN a main thread in Queue.get, and a heartbeat that writes a line a second, THEN it does not get on."""
    gets = (Frame("fit", "train.py", 3), Frame("get", "/usr/lib/python3.11/queue.py", 171))
    beats = (Frame("heartbeat", "train.py", 32), Frame("clock_nanosleep", "libc.so.6", native=True))

    def moves(beating: tuple[Frame, ...], call: BlockingCall) -> str:
        looks = tuple(
            Sample(
                at,
                (ThreadSample(1, "x", "S", 1.0, 5, 5), ThreadSample(2, "x", "S", 1.0 + at / 1000, int(at), 5)),
                log_bytes=int(58 * at),
            )
            for at in (1.0, 2.0)
        )
        threads = (Thread(1, "x", gets), Thread(2, "x", beating))
        calls = (BlockingCall(1, "futex", "futex"), call)
        process = classify(Process("pid:1", 1, "a", threads=threads, samples=looks, blocking_calls=calls))
        return movement(process, Limits()).words

    assert moves(beats, BlockingCall(2, "clock_nanosleep", "time")) == ""
    works = (Frame("feed", "train.py", 40), Frame("recv", "libc.so.6", native=True))
    assert "log grew" in moves(works, BlockingCall(2, "recvfrom", "socket")), "it may be the one that does the work"


def test_a_step_reads_its_input_which_a_collective_does_not() -> None:
    """GIVEN a main thread that stands, beside a thread that reads a file, THEN a step gets on by that."""

    def moves(role: Role) -> str:
        looks = tuple(
            Sample(
                at,
                (ThreadSample(1, "x", "S", 1.0, 5, 5), ThreadSample(2, "x", "S", 1.0 + at / 1000, int(at), 5)),
                file_offsets=int(4096 * at),
                io_bytes=int(4096 * at),
            )
            for at in (1.0, 2.0)
        )
        waits = Position(tid=1, operation="Session.run", roles=(role,), waits=WaitKind.STEP)
        reads = Position(tid=2, operation="read", waits=WaitKind.FILE)
        process = Process(
            "worker:0", 1, "a", threads=(Thread(1, "x"), Thread(2, "x")), samples=looks, positions=(waits, reads),
            blocking_calls=(BlockingCall(1, "futex", "futex"),),
        )  # fmt: skip
        return movement(process, Limits()).words

    assert "its files moved" in moves(Role.STEP)
    assert moves(Role.COLLECTIVE) == ""


_JOINS = (Frame("main", "bank.py", 18), Frame("join", "/usr/lib/python3.11/threading.py", 1112))
_TAKES = (Frame("move", "bank.py", 9), Frame("lock_PyThread_acquire_lock", "libpython3.11.so", native=True))
_OPENS = (Frame("lines", "bank.py", 4), Frame("open64", "libc.so.6", native=True))
_GETS = (Frame("consume", "bank.py", 30), Frame("get", "/usr/lib/python3.11/queue.py", 171))
_MUTEX = tuple(Frame(name, "libc.so.6", native=True) for name in ("transfer", "pthread_mutex_lock", "__lll_lock_wait"))
_PTHREAD_JOIN = (Frame("main", "bank", native=True), Frame("pthread_join", "libc.so.6", native=True))


@pytest.mark.parametrize(
    ("main", "other", "gets_on"),
    [
        (_TAKES, _TAKES, False),
        (_JOINS, _TAKES, False),
        (_PTHREAD_JOIN, _MUTEX, False),
        (_OPENS, _TAKES, False),
        (_JOINS, _GETS, True),
    ],
    ids=[
        "a lock", "joins who waits for a lock", "in C as well", "a named pipe that nobody opens",
        "joins, and one waits for work that seldom comes",
    ],
)  # fmt: skip
def test_what_a_monitor_writes_is_no_work_of_threads_that_wait_for_locks(
    main: tuple[Frame, ...], other: tuple[Frame, ...], gets_on: bool
) -> None:
    ticks = (Frame("ticker", "bank.py", 40), Frame("clock_nanosleep", "libc.so.6", native=True))
    looks = tuple(
        Sample(
            at,
            (
                ThreadSample(1, "x", "S", 1.0, 5, 5),
                ThreadSample(2, "x", "S", 1.0, 5, 5),
                ThreadSample(3, "x", "S", 1.0, int(at), 5),
            ),
            log_bytes=int(14 * at),
        )
        for at in (1.0, 2.0)
    )
    first = BlockingCall(1, "openat", "file", "/tmp/rows") if main is _OPENS else BlockingCall(1, "futex", "futex")
    calls = (first, BlockingCall(2, "futex", "futex"), BlockingCall(3, "clock_nanosleep", "time"))
    threads = (Thread(1, "x", main), Thread(2, "x", other), Thread(3, "x", ticks))
    process = classify(Process("pid:1", 1, "a", threads=threads, samples=looks, blocking_calls=calls))
    assert bool(movement(process, Limits()).words) is gets_on


@pytest.mark.parametrize(
    ("frames", "call", "others_run", "came", "stands"),
    [
        (("acquire",), BlockingCall(1, "futex", "futex"), 0, 0, True),
        (("recv",), BlockingCall(1, "recvfrom", "socket", "a:1 -> b:2"), 1, 0, True),
        (("acquire",), BlockingCall(1, "futex", "futex"), 1, 0, False),
        (("recv",), BlockingCall(1, "recvfrom", "socket", "a:1 -> b:2"), 0, 64, False),
        (("recv",), BlockingCall(1, "recvfrom", "socket", "a:1 -> b:2", limited=True), 0, 0, False),
        (("wait",), BlockingCall(1, "futex", "futex", "0x1 in /dev/shm/sem.x"), 0, 0, False),
    ],
    ids=["a lock", "a read", "another may have given it", "data came", "it has a limit", "another process may have"],
)
def test_a_timers_handler_that_prints_is_no_work_of_the_wait_below_it(
    frames: tuple[str, ...], call: BlockingCall, others_run: int, came: int, stands: bool
) -> None:
    """GIVEN a main thread that runs each second, in a handler that writes a line, THEN its wait goes on below that."""
    below = (Frame("fit", "train.py", 3), *(Frame(name, "libc.so.6", native=True) for name in frames))
    handler = (*below[:1], Frame("tick", "train.py", 40))
    looks = tuple(
        Sample(
            at,
            (
                ThreadSample(1, "x", "S", 1.0 + at / 1000, int(at), 5),
                ThreadSample(2, "x", "S", 1.0, others_run * int(at), 5),
            ),
            log_bytes=int(16 * at),
            io_bytes=int(16 * at),
            io_written=int(16 * at),
            socket_bytes=int(came * at),
        )
        for at in (1.0, 2.0)
    )
    waits = WaitKind.SOCKET if call.kind == "socket" else WaitKind.LOCK
    sleeps = Position(tid=2, waits=WaitKind.CONDITION, roles=(Role.IDLE,))
    process = Process(
        "pid:1", 1, "a", threads=(Thread(1, "x", below), Thread(2, "x")), later=(Thread(1, "x", handler),),
        samples=looks, positions=(Position(tid=1, waits=waits, own=True), sleeps), blocking_calls=(call,),
        connections=(Connection("a:1", "b:2", "ESTABLISHED"),),
    )  # fmt: skip
    assert stood_still(process, 1) is stands
    assert (movement(process, Limits()).words == "") is stands


@pytest.mark.parametrize(
    ("wakes", "waits", "limited", "gets_on"),
    [
        (400, WaitKind.CONDITION, False, True),
        (400, WaitKind.NOTHING, False, True),
        (3, WaitKind.CONDITION, False, False),
        (400, WaitKind.CONDITION, True, False),
    ],
    ids=["is given work", "is at it", "only spins", "polls by the clock"],
)
def test_a_pool_that_is_woken_again_and_again_computes(
    wakes: int, waits: WaitKind, limited: bool, gets_on: bool
) -> None:
    """GIVEN a main thread that waits for a whole program, WHEN pool threads burn CPU, THEN those given work get on."""
    looks = tuple(
        Sample(at, (ThreadSample(1, "x", "S", 1.0, 5, 5), ThreadSample(2, "x", "R", at / 5, int(wakes * at), 5)))
        for at in (1.0, 2.0)
    )
    main = Position(tid=1, operation="block_until_ready", roles=(Role.DEVICE,), waits=WaitKind.DEVICE, own=True)
    pool = Position(tid=2, operation="wait", roles=(Role.IDLE,), waits=waits, limited=limited)
    process = Process("pid:1", 1, "a", threads=(Thread(1, "x"), Thread(2, "x")), samples=looks, positions=(main, pool))
    assert bool(movement(process, Limits()).words) is gets_on


@pytest.mark.parametrize(("switches", "gets_on"), [(2, False), (9, True)], ids=["as by a stop", "woken by others"])
def test_what_a_stop_for_stacks_wakes_has_not_got_on(switches: int, gets_on: bool) -> None:
    """GIVEN a main thread in a step beside a thread that prints by the clock, WHEN its stacks were taken in between,
    THEN the lines are no work of the step."""
    ticks = (Frame("gauge", "feed.py", 33), Frame("clock_nanosleep", "libc.so.6", native=True))
    step = (Frame("main", "feed.py", 53), Frame("pthread_cond_wait", "libc.so.6", native=True))
    looks = tuple(
        Sample(
            at,
            (
                ThreadSample(1, "x", "S", 1.0, int(switches * at), 5),
                ThreadSample(2, "x", "S", 1.0, int(2 * at), 5),
            ),
            log_bytes=int(14 * at),
            io_bytes=int(14 * at),
            io_written=int(14 * at),
        )
        for at in (1.0, 1.5, 2.0)
    )
    calls = (BlockingCall(1, "futex", "futex"), BlockingCall(2, "clock_nanosleep", "time"))
    threads = (Thread(1, "x", step), Thread(2, "x", ticks))
    process = classify(Process("pid:1", 1, "a", threads=threads, samples=looks, blocking_calls=calls))
    assert bool(movement(process, Limits()).words) is gets_on
