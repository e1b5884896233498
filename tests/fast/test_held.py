"""Locks of Python: who holds them is told by the source of the functions in which the threads stand."""

from __future__ import annotations

import textwrap

import msgspec
import pytest

from diagnostics.collector.held import Block, Place, blocks_at
from diagnostics.collector.loops import Source
from diagnostics.model import BlockingCall, Collection, Frame, LockBlock, Process, Sample, State, Thread, ThreadSample
from diagnostics.pipeline import explain
from diagnostics.stacks.position import classify

SOURCE = textwrap.dedent(
    """
    def feed(self):
        with self.lock:
            for number in range(1000):
                self.waiting.put(number)  # here

    def move(src, dst, amount):
        with src.lock:
            with dst.lock:  # here
                dst.total += amount

    def flush(self):
        self._guard.acquire()
        try:
            self._write()  # here
        finally:
            self._guard.release()

    def take(self):
        with self.ready:
            while not self.items:
                self.ready.wait()  # here

    def after(self):
        with self.lock:
            self.count += 1
        self.queue.join()  # here

    def leave(self):
        lock.acquire()
        lock.release()
        send()  # here

    def append(self, item):
        self.lock.acquire()  # here
        self.items.append(item)
        self.lock.release()

    def inside(self):
        with open(path) as file, self.lock:
            file.read()  # here
    """
)


@pytest.mark.parametrize(
    ("function", "calls", "blocks"),
    [
        ("feed", "put", {("self.lock", False)}),
        ("move", "", {("src.lock", False), ("dst.lock", True)}),
        ("flush", "_write", {("self._guard", False)}),
        ("take", "wait", set()),  # a condition gives its lock up while it waits
        ("after", "join", set()),
        ("leave", "", set()),
        ("append", "", {("self.lock", True)}),
        ("inside", "read", {("self.lock", False)}),
    ],
)
def test_what_a_function_holds_and_wants_where_it_stands(
    function: str, calls: str, blocks: set[tuple[str, bool]]
) -> None:
    lines = SOURCE.splitlines()
    begins = lines.index(next(line for line in lines if line.startswith(f"def {function}(")))
    line = next(number for number, text in enumerate(lines, 1) if number > begins and "# here" in text)
    found = blocks_at(Source(SOURCE), Place(f"Stages.{function}", line, calls), True)
    assert {(one.name, one.wanted) for one in found} == blocks
    assert all(isinstance(one, Block) and one.line <= line for one in found)


def _process(*blocks: LockBlock) -> Process:
    """Three threads: the main one joins, the others stand at locks."""
    acquire = Frame("lock_PyThread_acquire_lock", native=True), Frame("sem_wait", "libc.so.6", native=True)
    threads = (
        Thread(1, "python", (Frame("run", "/job/train.py", 90), Frame("join", "/usr/lib/python3.11/threading.py", 1))),
        Thread(2, "feed", (Frame("feed", "/job/train.py", 5), *acquire)),
        Thread(3, "eat", (Frame("eat", "/job/train.py", 9), *acquire)),
    )
    samples = tuple(
        Sample(100.0 + 30 * n, tuple(ThreadSample(t.tid, "x", "S", 1.0, 5, 5, last_ran=40.0) for t in threads))
        for n in (0, 1)
    )
    calls = tuple(BlockingCall(t.tid, "futex", "futex", hex(t.tid * 4096)) for t in threads)
    return Process("pid:1", 1, "h", threads=threads, samples=samples, blocking_calls=calls, lock_blocks=blocks)


def held(tid: int, name: str) -> LockBlock:
    return LockBlock(tid, name, 4)


def wanted(tid: int, name: str) -> LockBlock:
    return LockBlock(tid, name, 5, True)


def test_the_thread_that_holds_it_is_named_in_what_the_other_waits_for() -> None:
    position = classify(_process(wanted(3, "stage.lock"), held(2, "self.lock"))).positions[2]
    assert position.holder == 2
    assert position.waits_for == "the lock `stage.lock`, which thread 2 (feed) holds by its source"


@pytest.mark.parametrize(
    "blocks",
    [
        (wanted(3, "lock"), held(2, "lock"), held(1, "lock")),  # either may be it
        (wanted(3, "a.lock"), held(2, "a.guard")),
        (wanted(3, "a.lock"), held(3, "b.lock")),
    ],
)
def test_nobody_is_named_where_it_may_be_several_or_none(blocks: tuple[LockBlock, ...]) -> None:
    assert classify(_process(*blocks)).positions[2].holder == 0


def test_two_that_hold_what_the_other_wants_are_a_circle() -> None:
    blocks = (held(2, "src.lock"), wanted(2, "dst.lock"), held(3, "src.lock"), wanted(3, "dst.lock"))
    _, told = explain(Collection(0.0, 0.0, (_process(*blocks),)))
    assert told.hung and told.findings[0].cause == "lock-order" and told.findings[0].confidence > 0.9


def test_one_that_takes_again_what_it_holds_waits_for_itself() -> None:
    process = _process(held(2, "self.lock"), wanted(2, "self.lock"))
    process = msgspec.structs.replace(process, threads=process.threads[:2], state=State.UNKNOWN)
    _, told = explain(Collection(0.0, 0.0, (process,)))
    assert told.findings[0].cause == "lock-taken-again" and told.findings[0].confidence > 0.9


def test_a_holder_that_waits_for_something_else_is_named_with_its_wait() -> None:
    process = _process(wanted(3, "self.lock"), held(2, "self.lock"))
    puts = Thread(2, "feed", (Frame("feed", "/job/train.py", 5), Frame("put", "/usr/lib/python3.11/queue.py", 140)))
    process = msgspec.structs.replace(process, threads=(process.threads[0], puts, process.threads[2]))
    _, told = explain(Collection(0.0, 0.0, (process,)))
    assert told.findings[0].cause == "lock-held-elsewhere" and told.findings[0].confidence > 0.8
    position = told.culprits[0].position
    assert position and position.function == "feed" and position.tid == 2
