"""A program of a plan, run here until all its ranks stand, and what the diagnosis then says of it."""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from diagnostics import pipeline
from diagnostics.errors import LastbatchError
from diagnostics.pipeline import Answer
from repro.replay.plan import Plan
from repro.replay.program import READY
from repro.runtimes import Runtime, clean_environment
from repro.runtimes.parent import ENDS_WITH_PARENT

PATIENCE = 120.0
"""Seconds until every rank must have said that it stands: PyTorch's import takes most of it."""


def attach_to(program: Path, plan: Plan, runtime: Runtime, progress: Callable[[str], None]) -> Answer:
    """Start the program's ranks, wait until all stand, attach, end them.

    Raises:
        LastbatchError: a rank ended, or did not get to where it is to stand.
    """
    with _running(program, plan, runtime) as ranks:
        _wait_until_all_stand(ranks, progress)
        return pipeline.attach([str(one.pid) for one in ranks], progress=progress)


@contextmanager
def _running(program: Path, plan: Plan, runtime: Runtime) -> Iterator[list[subprocess.Popen[str]]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ranks: list[subprocess.Popen[str]] = []
    try:
        for rank in plan.started:
            ranks.append(_start(program, runtime, _environment(rank, plan.world, port)))
        yield ranks
    finally:
        for one in ranks:
            one.kill()
        for one in ranks:
            one.wait()
            for pipe in (one.stdout, one.stderr):
                if pipe:
                    pipe.close()


def _environment(rank: int, world: int, port: int) -> dict[str, str]:
    return {
        **clean_environment(), "RANK": str(rank), "WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1",
    }  # fmt: skip


def _start(program: Path, runtime: Runtime, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    argv = [sys.executable, "-I", "-c", ENDS_WITH_PARENT, str(os.getpid()), str(runtime.python), str(program)]
    return subprocess.Popen(
        argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _wait_until_all_stand(ranks: Sequence[subprocess.Popen[str]], progress: Callable[[str], None]) -> None:
    missing = set(range(len(ranks)))
    deadline = time.monotonic() + PATIENCE
    with selectors.DefaultSelector() as waiting:
        for number, one in enumerate(ranks):
            assert one.stdout
            waiting.register(one.stdout, selectors.EVENT_READ, number)
        while missing:
            progress(f"{len(ranks) - len(missing)} of {len(ranks)} ranks stand")
            events = waiting.select(max(0.0, deadline - time.monotonic()))
            if not events:
                raise LastbatchError(
                    f"rank {min(missing)} did not get to its last call in {PATIENCE:.0f} s",
                    "Run the program by hand: the plan may need a backend that this machine lacks",
                )
            for key, _ in events:
                line = _line(key.fileobj)
                if READY in line:
                    missing.discard(key.data)
                elif not line:
                    raise LastbatchError(f"rank {key.data} of the program ended", _last_words(ranks[key.data]))


def _line(file: object) -> str:
    text: IO[str] = file  # type: ignore[assignment]
    return text.readline()


def _last_words(rank: subprocess.Popen[str]) -> str:
    words = (rank.stderr.read() if rank.stderr else "").strip().splitlines()
    return f"Its last words: {words[-1][:200]}" if words else f"It said nothing; its status is {rank.wait()}"
