"""The programs of `tests/data/jobs`: what is true of each; how one is started, waited for and ended."""

from __future__ import annotations

import ctypes
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from diagnostics.errors import LastbatchError
from repro.runtimes import clean_environment, ensure

JOBS = Path(__file__).parent.parent / "tests" / "data" / "jobs"
MARK = "LASTBATCH_STRANGER"
PORTS = 16  # that a job may use, from {port} on
PR_SET_CHILD_SUBREAPER = 36


class Guilty(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who holds the others up: the process started as number `process`, or the child of it whose pid `child` finds.

    `child` is a pattern with one group on the output of the job. `function`: any of these is where it stands; () where
    no frame of the user's is to be seen. `rank`: how it may be spelled where it has no process any more.
    """

    process: int
    child: str = ""
    function: tuple[str, ...] = ()
    rank: tuple[str, ...] = ()


class Truth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`truth.json`. Commands know {here}, {tmp} (their working directory), {port}, {python}, {python:torch}, {cc}.

    `ready`: number of a process and the text that its output must have. `then`: signals sent after that. `since`: a
    pattern whose group is the wall time at which it began to hang, on the output; () where nobody knows. `culprit`:
    any of these. `attach`: numbers of the processes named to attach, all by default. `still`: for so many seconds it
    stands still before anybody looks; one that `talks` prints on while it hangs.
    """

    story: str
    start: tuple[tuple[str, ...], ...]
    ready: tuple[tuple[int, str], ...]
    hangs: bool
    family: str
    also_fine: tuple[str, ...] = ()
    culprit: tuple[Guilty, ...] = ()
    since: str = ""
    build: tuple[tuple[str, ...], ...] = ()
    then: tuple[tuple[int, str], ...] = ()
    attach: tuple[int, ...] = ()
    still: float = 6.0
    talks: bool = False
    patience: float = 120.0


class NotReady(LastbatchError):
    """The job did not come so far; no statement about the diagnosis."""


class Running(NamedTuple):
    """A job that runs, with what it has printed."""

    processes: list[subprocess.Popen[bytes]]
    output: list[bytearray]

    def text(self, number: int | None = None) -> str:
        parts = self.output if number is None else [self.output[number]]
        return "\n".join(bytes(part).decode("utf-8", "replace") for part in parts)


def jobs() -> dict[str, Truth]:
    found = {path.parent.name: path for path in sorted(JOBS.glob("*/truth.json"))}
    return {name: msgspec.json.decode(path.read_bytes(), type=Truth, strict=False) for name, path in found.items()}


def filled(word: str, name: str, tmp: Path, port: int) -> str:
    """A word of a command, with its placeholders filled."""

    def fill(match: re.Match[str]) -> str:
        what = match[1]
        if what.startswith("python:"):
            return str(ensure(what.removeprefix("python:")).python)
        number = re.fullmatch(r"port(?:\+(\d+))?", what)
        if number:
            return str(port + int(number[1] or 0))
        return {"here": str(JOBS / name), "tmp": str(tmp), "python": sys.executable, "cc": "cc"}[what]

    return re.sub(r"\{(here|tmp|python(?::[\w.]+)?|port(?:\+\d+)?|cc)\}", fill, word)


def free_ports(base: int) -> Iterator[int]:
    """Starts of blocks of ports that nobody uses."""
    for start in itertools.cycle(range(base, base + 1000 - PORTS, PORTS)):
        with suppress(OSError):
            for port in range(start, start + PORTS):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            yield start


def start(name: str, truth: Truth, tmp: Path, port: int, more: Mapping[str, str] = {}) -> Running:
    """`more`: environment of the job besides."""
    environment = {**clean_environment(), MARK: name, "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "2", **more}
    for command in truth.build:
        subprocess.run([filled(word, name, tmp, port) for word in command], check=True, cwd=tmp)
    job = Running([], [])
    for command in truth.start:
        words = [filled(word, name, tmp, port) for word in command]
        process = subprocess.Popen(
            words, cwd=tmp, env=environment, stdin=subprocess.DEVNULL, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        job.processes.append(process)
        job.output.append(bytearray())
        assert process.stdout
        threading.Thread(target=_drain, args=(process.stdout, job.output[-1]), daemon=True).start()
    return job


def _drain(pipe: Any, into: bytearray) -> None:
    while some := os.read(pipe.fileno(), 1 << 16):
        into += some


def processes_of(parents: set[int]) -> list[int]:
    """Every process below these, they themselves not."""
    above: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        with suppress(OSError, ValueError, IndexError):
            above[int(entry)] = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
    found = set(parents)
    while more := {pid for pid, parent in above.items() if parent in found} - found:
        found |= more
    return sorted(found - parents)


def end_descendants() -> None:
    """All that was started from here; orphans come back to us, because we are their reaper."""
    thaw()
    deadline = time.monotonic() + 20
    while (left := processes_of({os.getpid()})) and time.monotonic() < deadline:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.02)


def thaw() -> None:
    """A frozen control group is made by one of the jobs; nothing in it can be ended before it is thawed."""
    for pid in processes_of({os.getpid()}):
        path = Path(f"/sys/fs/cgroup/freezer/lastbatch-stranger-{pid}/freezer.state")
        with suppress(OSError):
            path.write_text("THAWED")
            deadline = time.monotonic() + 5
            while (path.parent / "cgroup.procs").read_text() and time.monotonic() < deadline:
                for inside in (path.parent / "cgroup.procs").read_text().split():
                    with suppress(ProcessLookupError):
                        os.kill(int(inside), signal.SIGKILL)
                with suppress(ChildProcessError):
                    os.waitpid(-1, os.WNOHANG)
                time.sleep(0.02)
            path.parent.rmdir()


def kill_leftovers() -> None:
    """What an earlier run that was itself killed has left."""
    for entry in os.listdir("/proc"):
        with suppress(OSError, ValueError):
            if f"{MARK}=".encode() in Path(f"/proc/{int(entry)}/environ").read_bytes():
                os.kill(int(entry), signal.SIGKILL)


def wait_until(what: str, truth: Truth, job: Running, condition: Any) -> None:
    deadline = time.monotonic() + truth.patience
    while not condition():
        if time.monotonic() > deadline:
            raise NotReady(f"not {what} after {truth.patience:.0f} s", job.text()[-2000:])
        time.sleep(0.05)


def bring_up(truth: Truth, job: Running) -> None:
    """Until it has said what it has to say, and has then stood still for some seconds (a healthy one: has said it)."""
    wait_until("ready", truth, job, lambda: all(text in job.text(number) for number, text in truth.ready))
    for number, name in truth.then:
        job.processes[number].send_signal(getattr(signal, f"SIG{name}"))
    if truth.since:
        wait_until("hung", truth, job, lambda: re.search(truth.since, job.text()))
    quiet = [time.monotonic(), 0]

    def stands_still() -> bool:
        size = sum(map(len, job.output))
        if truth.hangs and not truth.talks and size != quiet[1]:
            quiet[:] = [time.monotonic(), size]
        return time.monotonic() - quiet[0] > truth.still

    wait_until("still", truth, job, stands_still)


def become_reaper() -> None:
    """Orphans of the jobs become our children, so that they can be found and ended."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
