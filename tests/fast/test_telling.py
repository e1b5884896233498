"""A main thread or event loop that only tells by the clock how it goes hides nobody who stands beside it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from test_asleep import LOCK, SLEEP, futex, process

from diagnostics.analyze.job import judge_all
from diagnostics.collector.loops import Source
from diagnostics.model import BlockingCall, Collection, Connection, Frame, Loop, Process, State, Thread
from diagnostics.stacks.position import classify_all

TELLS = {
    "a counter": "while True:\n    time.sleep(2)\n    n += 1\n    print('alive', n)\n",
    "until all have ended": "while any(t.is_alive() for t in threads):\n    stage.report()\n    time.sleep(1)\n",
    "until a flag": "while not done.wait(5):\n    log.info('%d of %d', len(results), total)\n",
    "left by a flag": "while True:\n    time.sleep(1)\n    if stop.is_set():\n        break\n    print(q.qsize())\n",
    "a table of its own": "while True:\n    time.sleep(1)\n    seen.update({k: len(v) for k, v in parts.items()})\n",
}
BRINGS = {
    "takes from a queue": "while True:\n    time.sleep(1)\n    q.get_nowait()\n",
    "puts": "while True:\n    time.sleep(60)\n    q.put(Job())\n",
    "notifies, by a function": "while True:\n    time.sleep(60)\n    refill()\n",
    "a number of rounds": "while n < 60:\n    time.sleep(1)\n    n += 1\n    print(n)\n",
    "until a time": "while time.monotonic() < until:\n    time.sleep(1)\n    print('.')\n",
    "what is not known": "while True:\n    time.sleep(1)\n    client.sync()\n",
    "a thread is released": "while True:\n    time.sleep(1)\n    lock.release()\n",
}
FUNCTIONS = """
def report(self):
    print("done", self.done)

def refill():
    with ready:
        ready.notify_all()

"""

@pytest.mark.parametrize("text", TELLS.values(), ids=TELLS)
def test_a_loop_that_only_tells_wakes_nobody(text: str) -> None:
    assert _tells(text)


@pytest.mark.parametrize("text", BRINGS.values(), ids=BRINGS)
def test_a_loop_that_may_bring_something_or_ends_by_itself_does_not_only_tell(text: str) -> None:
    assert not _tells(text)


def test_a_coroutine_that_sleeps_and_prints_only_tells_and_one_that_awaits_others_does_not() -> None:
    text = "async def pulse():\n    while True:\n        await asyncio.sleep(2)\n        {}\n"
    assert Source(text.format("print('alive')")).tells_at("pulse", 3)
    assert not Source(text.format("await flush()")).tells_at("pulse", 3)


def _tells(text: str) -> bool:
    source = FUNCTIONS + text
    line = next(number for number, line in enumerate(source.splitlines(), 1) if "sleep(" in line or "wait(" in line)
    return Source(source).tells_at("<module>", line)


def beside_a_clock(seconds: float, waits: tuple[Frame, ...], **more: Any) -> Process:
    """A main thread that sleeps and prints, and two threads that stand, sampled at the beginning and the end."""
    calls = (BlockingCall(1, "clock_nanosleep", "time", ends_in=2.0), futex(2), futex(3))
    found = process(1, *calls, inner=waits, wakes=5)
    last = msgspec.structs.replace(found.samples[1], at=100.0 + seconds, io_bytes=90, io_written=90, log_bytes=90)
    first = msgspec.structs.replace(found.samples[0], io_bytes=0, io_written=0)
    loop = Loop(1, "main", "/job/train.py", 30, asks=False, tells=True)
    samples = (first, msgspec.structs.replace(last, loops=(loop,) * more.pop("tells", True)))
    return msgspec.structs.replace(found, rank="pid:1", samples=samples, **more)


@pytest.mark.parametrize(
    ("seconds", "more", "state"),
    [
        (21.0, {}, State.HUNG),
        (5.0, {}, State.UNKNOWN),  # watched on, until it is long
        (21.0, {"tells": False}, State.PROGRESSING),  # it may bring something when its time comes
        (21.0, {"listens": ("127.0.0.1:80",)}, State.HUNG),  # nobody takes what is sent there
    ],
)
def test_threads_that_stand_are_not_hidden_by_a_main_thread_that_only_tells(
    seconds: float, more: dict[str, Any], state: State
) -> None:
    """GIVEN workers that wait for each other, WHEN the main thread prints by the clock how it goes."""
    (judged,) = judge_all(classify_all(Collection(0.0, 0.0, (beside_a_clock(seconds, LOCK, **more),)))).processes
    assert judged.state is state, judged.state_why


def test_whoever_waits_for_a_thread_that_a_peer_may_wake_is_well() -> None:
    """GIVEN the same, WHEN one of the threads reads from a connection that leads outside."""
    found = beside_a_clock(21.0, LOCK)
    reads = BlockingCall(3, "recvfrom", "socket", "127.0.0.1:5 -> 127.0.0.1:6")
    link = Connection("127.0.0.1:5", "127.0.0.1:6", "ESTABLISHED")
    found = msgspec.structs.replace(found, blocking_calls=(*found.blocking_calls[:2], reads), connections=(link,))
    (judged,) = judge_all(classify_all(Collection(0.0, 0.0, (found,)))).processes
    assert judged.state is State.PROGRESSING


def _cpp(*words: tuple[str, int]) -> Process:
    """Compiled code whose main thread prints, and threads that wait at words of their conditions."""
    found = beside_a_clock(21.0, LOCK, tells=False)
    wait = Frame("pthread_cond_wait", "libc.so.6", native=True)
    own = [(Frame(name, "/opt/scaler", native=True), wait) for name, _ in words]
    main = Thread(1, "scaler", (Frame("main", "/opt/scaler", native=True), *SLEEP))
    calls = [BlockingCall(tid, "futex", "futex", hex(word)) for tid, (_, word) in enumerate(words, 2)]
    threads = (main, *(Thread(tid, "scaler", frames) for tid, frames in enumerate(own, 2)))
    return msgspec.structs.replace(found, threads=threads, blocking_calls=(found.blocking_calls[0], *calls))


def test_of_compiled_code_both_sides_have_to_wait_at_one_condition() -> None:
    def state(found: Process) -> State:
        return judge_all(classify_all(Collection(0.0, 0.0, (found,)))).processes[0].state

    assert state(_cpp(("put", 0x5170), ("take", 0x5174))) is State.HUNG
    assert state(_cpp(("take", 0x5170), ("take", 0x5174))) is State.PROGRESSING, "workers that have nothing to do"
    assert state(_cpp(("load", 0x5170), ("store", 0x9170))) is State.PROGRESSING, "stages that have nothing to do"
