"""Tools that print stacks: py-spy, pystack, gdb, faulthandler, and merging them as STAT does.

Each prints, `diagnostics.importers` parses what it printed (and interprets nothing), `person` reads it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from diagnostics import importers
from diagnostics.errors import LastbatchError
from diagnostics.model import Thread
from hang_tools import person
from hang_tools.form import Answer, Dumps, Job, nothing

BETWEEN = 3.0
"""Seconds between two looks."""
LIMIT = 60
Printed = Callable[[Job, int], bytes]


def program(name: str) -> str:
    """Where a tool is: beside this interpreter, or on the path.

    Raises: LastbatchError: it is not installed."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if not found:
        raise LastbatchError(f"{name} is not installed", f"pip install {name}, or your distribution's package")
    return found


def output(argv: Sequence[str]) -> bytes:
    try:
        return subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=LIMIT, check=False).stdout
    except subprocess.TimeoutExpired:
        return b""


def py_spy(job: Job, pid: int) -> bytes:
    """`py-spy dump`, Python frames alone, as most people call it."""
    return output([program("py-spy"), "dump", "--pid", str(pid)])


def pystack(job: Job, pid: int) -> bytes:
    """`pystack remote --native`: Python and native frames, merged by itself."""
    return output([program("pystack"), "remote", "--native", str(pid)])


def gdb(job: Job, pid: int) -> bytes:
    """`thread apply all bt`, without Python's own macros, which few machines have."""
    return output([program("gdb"), "-p", str(pid), "-batch", "-nx", "-ex", "thread apply all bt"])


def faulthandler(job: Job, pid: int) -> bytes:
    """`faulthandler.register(SIGUSR1)` in every process, by a sitecustomize that the job was started with.

    A process that did not register would be ended by the signal: only those that said they had get it.
    """
    written = job.folder / f"faulthandler-{pid}"
    if not written.exists():
        return b""
    before = written.stat().st_size
    os.kill(pid, signal.SIGUSR1)
    deadline, size = time.monotonic() + 3, before
    while time.monotonic() < deadline:
        time.sleep(0.1)
        if written.stat().st_size == size > before:
            break
        size = written.stat().st_size
    return written.read_bytes()[before:]


def threads_of(text: bytes) -> tuple[Thread, ...]:
    """The main thread first; () where nothing of it is a stack."""
    if not text.strip():
        return ()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stack.txt"
        path.write_bytes(text)
        try:
            given, _ = importers.read_all([path])
        except LastbatchError:
            return ()
    found = importers.collection_of(given).processes
    return found[0].threads if found else ()


def look(job: Job, printed: Printed) -> dict[int, tuple[Thread, ...]]:
    """Of every process; a main thread is the one whose id is the process's, else the first."""
    stacks = {pid: threads_of(printed(job, pid)) for pid in job.everyone}
    return {pid: tuple(sorted(threads, key=lambda one: one.tid != pid)) for pid, threads in stacks.items() if threads}


def reading(printed: Printed, by_words: bool = True) -> Callable[[Job], Answer]:
    def live(job: Job) -> Answer:
        first = look(job, printed)
        if not first:
            return nothing("it printed no stack of any process")
        time.sleep(BETWEEN)
        return person.read(first, look(job, printed), job.everyone, by_words)

    return live


def reading_of(tool: str) -> Callable[[Dumps], Answer]:
    """Of files: those that this tool wrote. They were taken once, so that a hang can not be told from a pause."""

    def offline(dumps: Dumps) -> Answer:
        try:
            given, _ = importers.read_all(dumps.files)
        except LastbatchError as error:
            return nothing(error.message)
        its = [p for p in importers.collection_of(given).processes if tool in p.dump.split(", ")]
        if not its:
            return nothing(f"no file is of {tool}")
        return person.read({number: process.threads for number, process in enumerate(its)}, None, {})

    return offline
