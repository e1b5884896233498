"""Threads that only wake by the clock and write how it goes: they bring nothing that others wait for."""

from __future__ import annotations

import pytest

from diagnostics.model import BlockingCall, Collection, Diagnosis, Frame, Process, Sample, State, Thread, ThreadSample
from diagnostics.pipeline import explain

PYTHON = "/usr/lib/python3.11/"
JOB = "/home/u/job.py"
TAKES = {
    "python": (
        Frame("<module>", JOB, 40),
        Frame("Prefetcher.take", JOB, 12),
        Frame("Condition.wait", PYTHON + "threading.py", 327),
    ),
    "compiled": (
        Frame("main", "/home/u/job", native=True),
        Frame("Prefetcher::take", "/home/u/job", native=True),
        Frame("pthread_cond_wait", "/usr/lib/libc.so.6", native=True),
    ),
}
REPORTS = {
    "python": (Frame("Thread._bootstrap", PYTHON + "threading.py", 1002), Frame("report", JOB, 20),
               Frame("clock_nanosleep", "/usr/lib/libc.so.6", native=True)),
    "compiled": (Frame("start_thread", "/usr/lib/libc.so.6", native=True),
                 Frame("stats", "/home/u/job", native=True),
                 Frame("sleep", "/usr/lib/libc.so.6", native=True)),
}  # fmt: skip


def answer(language: str, wrote: int = 40, read: int = 0, sleeps: float = 2.0) -> Diagnosis:
    """A main thread that waits for a notification, for 30 s, beside a thread that sleeps by the clock."""

    def sample(at: float, rounds: int, written: int, moved: int) -> Sample:
        main, beside = ThreadSample(7, "job", "S", 1.0, 5, 5), ThreadSample(8, "job", "S", 1.0, 10 + rounds, 0)
        return Sample(at, (main, beside), io_bytes=written + moved, io_written=written)

    process = Process(
        "pid:7", 7, "h", State.UNKNOWN,
        threads=(Thread(7, "MainThread", TAKES[language]), Thread(8, "t", REPORTS[language])),
        samples=(sample(1.0, 0, 1000, 0), sample(31.0, 15, 1000 + wrote, read)),
        blocking_calls=(
            BlockingCall(7, "futex", "futex", "0x55"),
            BlockingCall(8, "clock_nanosleep", "time", "", ends_in=sleeps),
        ),
    )  # fmt: skip
    return explain(Collection(100.0, 60.0, (process,)))[1]


@pytest.mark.parametrize("language", ["python", "compiled"])
def test_a_monitor_neither_notifies_nor_is_waited_for(language: str) -> None:
    """GIVEN a thread that has been round often while the other stood, and only writes THEN nobody waits for it."""
    said = answer(language)
    assert said.verdict == "lost-wakeup"
    assert not said.waits and "thread 8" not in said.culprits[0].why
    assert any("works by the clock" in one.fact for one in said.findings[0].evidence)


@pytest.mark.parametrize("odd", [{"wrote": 0}, {"read": 4096}, {"sleeps": 90.0}, {"sleeps": -1.0}])
@pytest.mark.parametrize("language", ["python", "compiled"])
def test_who_may_bring_something_in_the_end_is_no_monitor(language: str, odd: dict[str, float]) -> None:
    """GIVEN that it reads, does not write, or has not been round twice THEN it may still notify."""
    said = answer(language, **odd)  # type: ignore[arg-type]
    assert said.verdict != "lost-wakeup"
