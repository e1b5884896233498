"""Where trials run. This engine: processes of this machine, each on cores of its own."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

import msgspec

from diagnostics.errors import UsageError
from repro.cluster.supervisor import die_with_parent
from repro.study.store import Result
from repro.study.worker import TrialSpec

Ended = tuple[int, Result | str]
"""A trial's number with its result, or with why it was lost."""


class Engine(Protocol):
    """Runs trials somewhere. A context manager: when its block ends, every trial has ended."""

    @property
    def slots(self) -> int:
        """How many trials may run at the same time, now."""
        ...

    def start(self, number: int, spec: TrialSpec) -> None: ...

    def wait(self, seconds: float) -> list[Ended]:
        """Trials that have ended, as soon as there is one, or none after so many seconds."""
        ...

    def __enter__(self) -> Engine: ...

    def __exit__(self, *_: object) -> None: ...


def share_out(cores: Iterable[int], each: int) -> list[tuple[int, ...]]:
    """Disjoint sets of `each` cores. Raises: UsageError: there are not that many."""
    available = sorted(cores)
    if each < 1 or each > len(available):
        raise UsageError(
            f"a trial cannot have {each} cores of its own, there are {len(available)}", "Give fewer with --cores"
        )
    return [tuple(available[start : start + each]) for start in range(0, len(available) - each + 1, each)]


class LocalEngine:
    """See `Engine`. When this program is killed, the kernel kills the trials' processes, and they end their ranks."""

    def __init__(self, cores_each: int = 0) -> None:
        """`cores_each`: 0 gives every trial all cores, so that one runs at a time."""
        cores = os.sched_getaffinity(0)
        self._free = share_out(cores, cores_each or len(cores))
        self._running: dict[int, tuple[subprocess.Popen[bytes], tuple[int, ...], int]] = {}
        self._poll = select.poll()
        self.slots = len(self._free)

    def __enter__(self) -> LocalEngine:
        self._spare = _waiting()
        return self

    def __exit__(self, *_: object) -> None:
        self._spare.kill()
        self._spare.communicate()
        for process, _cores, _descriptor in self._running.values():
            process.terminate()
        for number in list(self._running):
            self._take(number)

    def start(self, number: int, spec: TrialSpec) -> None:
        cores, process, self._spare = self._free.pop(0), self._spare, _waiting()
        assert process.stdin
        with suppress(BrokenPipeError), process.stdin:  # one that ended while it waited is a trial lost
            process.stdin.write(msgspec.json.encode(msgspec.structs.replace(spec, cores=cores)))
        descriptor = os.pidfd_open(process.pid)
        self._poll.register(descriptor, select.POLLIN)
        self._running[number] = process, cores, descriptor

    def wait(self, seconds: float) -> list[Ended]:
        ready = {descriptor for descriptor, _ in self._poll.poll(seconds * 1e3)}
        return [self._take(number) for number, (_, _, descriptor) in list(self._running.items()) if descriptor in ready]

    def _take(self, number: int) -> Ended:
        process, cores, descriptor = self._running.pop(number)
        assert process.stdout and process.stderr
        answer, complaint = process.stdout.read(), process.stderr.read()
        process.stdout.close()
        process.stderr.close()
        status = process.wait()
        self._poll.unregister(descriptor)
        os.close(descriptor)
        self._free.append(cores)
        if status:
            last = complaint.decode("utf-8", "replace").strip().splitlines()[-1:]
            return number, f"its process ended with status {status}: {last[0] if last else 'it said nothing'}"
        return number, msgspec.json.decode(answer, type=Result)


def _waiting() -> subprocess.Popen[bytes]:
    """A process that imports what a trial takes while another one trains, and then waits for its TrialSpec."""
    return subprocess.Popen(
        [sys.executable, "-m", "repro.study.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True, preexec_fn=die_with_parent,
    )  # fmt: skip
