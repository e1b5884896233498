"""A job that burns CPU: one that stays at its line is suspected, one that gets on is not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from conftest import wait_for

from diagnostics.watching import Hang, Stands, Watcher
from diagnostics.watching.spinning import spins

SPINS = "print('up', flush=True)\nsum(iter(int, 1))  # for ever, within one call"
SLEEPS = "import threading\nprint('up', flush=True)\nthreading.Event().wait()"
GETS_ON = """
print('up', flush=True)
def one(): return sum(range(300000))
def two(): return max(range(300000))
while True:
    one()
    two()
"""


@contextmanager
def running(text: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout and process.stdout.readline() == b"up\n"
            yield process
        finally:
            process.kill()


def test_a_job_that_spins_at_one_line_is_suspected() -> None:
    with running(SPINS) as process:
        watcher = Watcher([process.pid], lambda: process.poll() is not None, floor=2.0, early=2.0)
        event = watcher.next()
    assert isinstance(event, Hang) and event.spins, event


def test_a_job_that_computes_is_not() -> None:
    """One series of samples may find it at the same line by chance; it has to be seen to leave it."""
    with running(GETS_ON) as process:
        wait_for(lambda: not spins([process.pid], 0.05), 60)


def test_a_job_that_sleeps_is_told_as_one_that_does_not_move() -> None:
    with running(SLEEPS) as process:
        assert not spins([process.pid], 0.2)
        event = Watcher([process.pid], lambda: process.poll() is not None, floor=2.0, early=2.0).next()
    assert isinstance(event, Stands) or (isinstance(event, Hang) and not event.spins), event
