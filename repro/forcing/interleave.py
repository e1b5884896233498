"""Force the race instead of waiting for it: one thread of the worker held, servers frozen, everything else real.

The job is arm `queue-closed` of scenario `last-batch`, whose every step fails. The order that is forced, with gdb on
the worker in non-stop mode, and all servers frozen until gdb is there:

1. the second such step begins: freeze all servers but one (SIGSTOP), so that they do not dispatch their parts of it;
2. a receive from one of them is held: before it is registered (window A) or after, before it has a cancel callback (B);
3. the step's input has ended, so another thread aborts the step: wait until it has;
4. the live server's part of the step ends, in an error as it needs the input, so the master cancels all parts;
5. let the receive go on, then thaw the servers.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from diagnostics.collector import procfs
from diagnostics.collector.memory.elf import Function, Library
from diagnostics.collector.memory.tensorflow1 import base_of, layout_of
from diagnostics.errors import LastbatchError, MissingError
from diagnostics.frameworks.tensorflow1 import session, sets
from diagnostics.frameworks.tensorflow1.library import open_library, open_memory
from repro.cluster import Cluster

SCRIPT = Path(__file__).with_name("interleave_gdb.py")
LIMIT = 60.0
"""Seconds for each stage."""
FAILING = 4
"""Number of the step to force: the first initializes variables, the second closes the queue, the third fails as all
after it do, but before it runs every server has to be told of its graph."""
RENDEZVOUS_STATUS = 0x38
RUN_STEP = "_ZN10tensorflow11LocalMaster7RunStepE"
REGISTER_CALL = "_ZN10tensorflow20BaseRemoteRendezvous12RegisterCallE"
RECEIVE = "_ZN10tensorflow16GrpcRemoteWorker15RecvTensorAsyncE"
PART = "_ZN10tensorflow13RunManyGraphs8WhenDoneE"


class NotForced(LastbatchError):
    """The order did not come about, as happens on a busy machine."""


class Forced(msgspec.Struct, frozen=True):
    """What was done: the call that was held, the thread that was, and the server that it asks."""

    window: str
    call: int
    thread: int
    server: str


def force(cluster: Cluster, window: str) -> Forced:
    """Make a failing step of a job hang through window `A` or `B`. Its ranks are ready and have not trained.

    Raises:
        MissingError: no gdb, or not allowed to use it.
        NotForced: a stage did not come about in time.
    """
    if not shutil.which("gdb"):
        raise MissingError("gdb is not installed", "apt-get install gdb")
    worker = next(member for member in cluster.members if member.rank == "worker:0")
    servers = [member.pid for member in cluster.members if member.rank.startswith("ps:")]
    frozen = [member.pid for member in cluster.members if member.rank.startswith("ps:") and member.rank != "ps:0"]
    for pid in servers:
        os.kill(pid, signal.SIGSTOP)
    told = _script_arguments(worker.pid, frozen, window)
    environment = {**os.environ, "LASTBATCH_INTERLEAVE": json.dumps(told)}
    with subprocess.Popen(
        ["gdb", "-q", "-nx", "-x", str(SCRIPT)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=environment, start_new_session=True,
    ) as process:  # fmt: skip
        gdb = _Gdb(process)
        try:
            gdb.until("ready")
            for pid in servers:
                os.kill(pid, signal.SIGCONT)
            held = gdb.until("held")
            _wait(lambda: _is_aborted(worker.pid, told, held), "no other thread aborted the step")
            gdb.until("part")
            gdb.tell(f"thread {held['held']}", "delete", "continue &")
        finally:
            gdb.leave()
            for pid in filter(procfs.exists, servers):
                os.kill(pid, signal.SIGCONT)
    return Forced(window, held["call"], held["tid"], held["server"])


def _script_arguments(pid: int, frozen: list[int], window: str) -> dict[str, Any]:
    path = session.find_library(pid, sets.find("rendezvous"))
    library = open_library(path)
    found, layout = library.find([RUN_STEP, REGISTER_CALL, RECEIVE, PART]), layout_of(library)
    if len(found) < 4 or layout is None:
        raise MissingError(f"{path.name} does not name the functions to hold", "Use a runtime from tf1.4 to tf1.15")
    with open_memory(pid) as memory:
        base = base_of(memory, path.name)
    address = {symbol: base + function.address + _first(library, function) for symbol, function in found.items()}
    registering = window == "A"
    return {
        "pid": pid, "freeze": frozen, "live": "0",
        "step": address[RUN_STEP], "hold": address[REGISTER_CALL if registering else RECEIVE], "part": address[PART],
        "register": "rsi", "call": 0 if registering else layout.options, "status": layout.status, "window": window,
        "failing": FAILING,
    }  # fmt: skip


FIRST = {b"\x55": 1, b"\x4c\x8d\x54\x24": 5}
"""Instructions that functions begin with, and their length: push %rbp; lea N(%rsp),%r10."""


def _first(library: Library, function: Function) -> int:
    """Length of the first instruction, where a probe may sit already: the kernel would answer for the debugger.

    Raises:
        MissingError: it is another one.
    """
    code = library.code(function, 4)
    for begin, length in FIRST.items():
        if code.startswith(begin):
            return length
    said = f"{session.readable(function.symbol)} begins with {code.hex()}"
    raise MissingError(said, "Use the wheels of tf1.4 to tf1.15")


def _is_aborted(pid: int, told: dict[str, Any], held: dict[str, Any]) -> bool:
    """A receive that is registered is cancelled itself; for one that is not yet, its rendezvous has a status."""
    where = held["owner"] + RENDEZVOUS_STATUS if told["window"] == "A" else held["call"] + told["status"]
    with open_memory(pid) as memory:
        return bool(memory.word(where))


class _Gdb:
    """Talks with the script inside gdb."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin
        self._to = process.stdin
        self._process = process
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._heard: list[str] = []
        self._told: list[dict[str, Any]] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._lines.put(line)

    def leave(self) -> None:
        """Take the breakpoints out and let go: a process that hits one without a debugger is ended by it."""
        self.tell("delete", "detach", "quit")
        try:
            self._process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def tell(self, *commands: str) -> None:
        self._to.write("".join(f"{command}\n" for command in commands).encode())
        self._to.flush()

    def until(self, word: str) -> dict[str, Any]:
        """The first message that holds this word, which may have come while we waited for another."""
        deadline = time.monotonic() + LIMIT
        if past := next((message for message in self._told if word in message), None):
            return past
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except queue.Empty:
                break
            self._heard += [line.decode("utf-8", "replace").rstrip()] if b"LWP" not in line else []
            if (at := line.find(b'{"')) >= 0:
                self._told.append(message := json.loads(line[at:]))
                if word in message:
                    return dict(message)
        raise NotForced(f"the interleaving did not come about: gdb did not come to {word!r}; {self._heard[-4:]}")


def _wait(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > deadline:
            raise NotForced(f"the interleaving did not come about: {otherwise}")
        time.sleep(0.01)
