"""Runs probes through bpftrace, on all processes that have the library mapped or will map it.

Probes are put on addresses that we looked up: given names, bpftrace reads the symbols of the whole library for each.
The kernel takes the probes away with the process that set them, so nothing is left after a `kill -9` either:
when we are gone, the kernel ends bpftrace.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from diagnostics.collector.memory.elf import Function
from diagnostics.errors import LastbatchError, MissingError
from diagnostics.frameworks.tensorflow1.events import KEYS
from diagnostics.frameworks.tensorflow1.probes import Probe

TRACEFS = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
BUFFER_PAGES = 2048
"""Of 4 KiB for each processor: what a burst of 200,000 events takes while nobody reads."""
MEMORY = 96 << 20
"""Bytes of output that are kept, the newest; about a million events."""
ATTACH_LIMIT = END_LIMIT = 60.0
"""Seconds to set the probes, and to take them away and write what was kept: seconds on a machine with work to do."""
PR_SET_PDEATHSIG = 1


class Place(NamedTuple):
    """A probe and the function that it is put on."""

    probe: Probe
    function: Function


def lacking() -> MissingError | None:
    """What probes need and is not here, with what to do."""
    if os.geteuid() != 0:
        return MissingError("tracing needs root: probes are set by the kernel", "Run it with sudo")
    if not shutil.which("bpftrace"):
        return MissingError("bpftrace is not installed", "apt-get install bpftrace, or dnf install bpftrace")
    if not any((place / "uprobe_events").exists() for place in TRACEFS):
        return MissingError("tracefs is not mounted", f"mount -t tracefs nodev {TRACEFS[0]}")
    return None


def check() -> None:
    """Raises: MissingError: something that probes need is not here; with what to do."""
    if lack := lacking():
        raise lack


def script(library: Path, places: Iterable[Place], pids: Sequence[int], offsets: Mapping[str, int]) -> str:
    """The program for bpftrace. Other processes that have the library mapped hit the probes too, and say nothing."""
    offsets = {**offsets, "share": share(len(pids))}
    only = " || ".join(f"pid == {pid}" for pid in pids)
    lines = ['BEGIN { printf("attached\\n"); }']
    for probe, function in places:
        chosen = f"({only}) && {probe.when.format_map(offsets)}" if probe.when else only
        body = _remembering(probe, offsets) if probe.remember else _telling(probe, offsets)
        lines.append(f'uprobe:"{library}":{function.address:#x} /{chosen}/ {{ {body} }}')
    return "\n".join(lines) + "\n"


def share(processes: int) -> int:
    """How many keys of a table each process may take, so that it does not fill; a power of two."""
    return 1 << ((KEYS - 1) // max(1, processes)).bit_length() - 1


def _values(probe: Probe, offsets: Mapping[str, int]) -> dict[str, str]:
    return {name: f"(uint64)({form.format_map(offsets)})" for name, form in probe.numbers.items()}


def _telling(probe: Probe, offsets: Mapping[str, int]) -> str:
    numbers = _values(probe, offsets).values()
    form = " ".join(["%llx %x %x", *("%llx" for _ in numbers), *(["%s"] if probe.text else [])])
    values = ", ".join(["nsecs", "pid", "tid", *numbers, *([probe.text] if probe.text else [])])
    return f'printf("{probe.letter} {form}\\n", {values});'


def _remembering(probe: Probe, offsets: Mapping[str, int]) -> str:
    """bpftrace prints its maps when it ends."""
    numbers, name = _values(probe, offsets), f"@{probe.letter}"
    key = ", ".join(["pid", *(numbers[each] for each in probe.remember)])
    keep = f"{name}[{key}] = ({', '.join(['nsecs', 'tid', *numbers.values()])});"
    if probe.first_of:
        value = numbers[probe.first_of]
        keep = f"if ({name}_[{key}] != {value}) {{ {name}_[{key}] = {value}; {keep} }}"
    return f"{keep} {name}n = count();"


class Tracer:
    """A running bpftrace. Use it as a context manager; `stop` gives the lines."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._kept: deque[bytes] = deque()
        self._size = 0
        self._dropped = False
        self._words: list[str] = []
        self.began = self.ended = 0

    def __enter__(self) -> Tracer:
        check()
        environment = {
            **os.environ, "BPFTRACE_STRLEN": "64", "BPFTRACE_PERF_RB_PAGES": str(BUFFER_PAGES),
            "BPFTRACE_MAP_KEYS_MAX": str(KEYS),
        }  # fmt: skip
        self._process = subprocess.Popen(
            ["bpftrace", "-B", "full", "--unsafe", "-e", self._program],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
            start_new_session=True, preexec_fn=_die_with_parent,
        )  # fmt: skip
        self._readers = [
            threading.Thread(target=self._keep, daemon=True),
            threading.Thread(target=self._listen, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        return self

    def wait_until_attached(self) -> None:
        """Raises: LastbatchError: it ended instead, or took too long; with its own last words."""
        deadline = time.monotonic() + ATTACH_LIMIT
        while not self._probes_set():
            if self._process.poll() is not None:
                raise LastbatchError(f"bpftrace could not set the probes: {self._last_words()}", "See lastbatch doctor")
            if time.monotonic() > deadline:
                raise LastbatchError(f"bpftrace took longer than {ATTACH_LIMIT:.0f} s to set the probes")
            time.sleep(0.02)
        self.began = time.clock_gettime_ns(time.CLOCK_MONOTONIC)

    def stop(self) -> list[str]:
        """Take the probes away; what they said, as lines.

        Raises: LastbatchError: it ended before, or had to be killed: what the probes said is gone, or a part of it.
        """
        self.ended = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        ended_before = self._process.poll() is not None
        self._end()
        if ended_before or self._process.returncode == -signal.SIGKILL:
            raise LastbatchError(f"bpftrace ended too early, its events are lost: {self._last_words()}", "Trace again")
        text = b"".join(self._kept).decode("utf-8", "replace").splitlines()
        # Where old output had to go, the first line is half a one.
        return (text[1:] if self._dropped else text) + [word for word in self._words if word.startswith("Lost")]

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(END_LIMIT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for reader in self._readers:
            reader.join()

    def _probes_set(self) -> bool:
        """Whether bpftrace holds an event for each probe: it says nothing when it has set them all."""
        fds = Path(f"/proc/{self._process.pid}/fd")
        try:
            links = [os.readlink(fd) for fd in fds.iterdir()]
        except OSError:
            return False
        buffers = os.cpu_count() or 1
        return links.count("anon_inode:[perf_event]") >= self._program.count("\nuprobe:") + buffers

    def _keep(self) -> None:
        assert self._process.stdout
        while chunk := os.read(self._process.stdout.fileno(), 1 << 18):
            self._kept.append(chunk)
            self._size += len(chunk)
            while self._size > MEMORY:
                self._size -= len(self._kept.popleft())
                self._dropped = True

    def _listen(self) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            self._words.append(line.decode("utf-8", "replace").strip())

    def _last_words(self) -> str:
        said = [word for word in self._words if word and "RLIMIT_MEMLOCK" not in word]
        return said[-1] if said else f"it ended with status {self._process.returncode}"


_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    """In the child, before exec. SIGTERM makes bpftrace take its probes away; the kernel does it otherwise."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
