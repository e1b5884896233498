"""What /proc tells of a process without touching it (man 5 proc). Never stops the target."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from diagnostics.collector.kernel import stat_fields, text_of
from diagnostics.collector.sched import TaskClocks, fields
from diagnostics.model import Cgroup, Sample, ThreadSample, Versions

_TICK = os.sysconf("SC_CLK_TCK")
_FRAMEWORK_DIST = re.compile(
    r"^(tensorflow|tensorflow_cpu|tensorflow_gpu|torch)-([0-9][^-/]*)\.(dist|egg)-info$"
)
_FRAMEWORK_LIB = re.compile(r"(.*/(?:site|dist)-packages)/(?:tensorflow|torch)/")
_PYTHON_LIB = re.compile(r"libpython(\d+\.\d+)|/bin/python(\d+\.\d+)")


def exists(pid: int) -> bool:
    """Whether there is such a process that is not a zombie."""
    return state_of(pid) not in ("", "Z", "X")


def state_of(pid: int) -> str:
    """The main thread's state letter, "" where there is no such process."""
    return stat_fields(f"/proc/{pid}/stat")[0]


def settled_state(pid: int, patience: float = 0.05) -> str:
    """As `state_of`, but "D" where a thread stays in uninterruptible sleep for `patience` seconds."""
    blocked = _blocked_threads(pid)
    deadline = time.monotonic() + patience
    while blocked and time.monotonic() < deadline:
        time.sleep(0.005)
        blocked &= _blocked_threads(pid)
    return "D" if blocked else state_of(pid)


_FUSE_WAIT = "request_wait_answer"
"""Where a thread waits for a file system in user space. Interrupted, it goes on waiting, in state D."""


def _blocked_threads(pid: int) -> set[tuple[str, int]]:
    """Threads that no tracer could stop, each with its context switches: with the same number it is the same wait."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return set()
    found = set()
    may_be_fuse = " - fuse" in text_of(f"/proc/{pid}/mountinfo", 4 << 20)
    for tid in tasks:
        home = Path(f"/proc/{pid}/task/{tid}")
        state = stat_fields(home / "stat")[0]
        if state == "D" or (may_be_fuse and state == "S" and text_of(home / "wchan") == _FUSE_WAIT):
            found.add((tid, _status_number(text_of(home / "status"), "voluntary_ctxt_switches")))
    return found


def uid_of(pid: int) -> int:
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return -1


def parent_of(pid: int) -> int:
    """The parent's pid, 0 where there is none."""
    fields = stat_fields(f"/proc/{pid}/stat")
    return int(fields[1]) if len(fields) > 1 else 0


def cpu_of(pid: int) -> float:
    """Seconds of user and system time of all its threads."""
    return cpu_and_start(pid)[0]


def disk_bytes_of(pid: int) -> int:
    """Bytes that it has had read from storage, and written to it or left to be written; -1 where it is not told."""
    counts = re.findall(r"^(?:read|write)_bytes: (\d+)$", text_of(f"/proc/{pid}/io"), re.MULTILINE)
    return sum(map(int, counts)) if counts else -1


def io_of(pid: int) -> tuple[int, int]:
    """Read and write calls so far, of any file, and the bytes that they moved; -1 where it is not told."""
    counts = dict(re.findall(r"^(rchar|wchar|syscr|syscw): (\d+)$", text_of(f"/proc/{pid}/io"), re.MULTILINE))
    if len(counts) < 4:
        return -1, -1
    return int(counts["syscr"]) + int(counts["syscw"]), int(counts["rchar"]) + int(counts["wchar"])


def file_offsets_of(pid: int) -> int:
    """Sum of the offsets of all that it has open, -1 where it may not be seen. Asks no file system."""
    try:
        numbers = os.listdir(f"/proc/{pid}/fdinfo")
    except OSError:
        return -1
    found = (re.match(r"pos:\s*(\d+)", text_of(f"/proc/{pid}/fdinfo/{number}", 4096)) for number in numbers)
    return sum(int(match[1]) for match in found if match)


def age_of(pid: int) -> float:
    """Seconds since it started, within a clock tick; -1 where there is no such process."""
    started = start_time(pid)
    return round(time.clock_gettime(time.CLOCK_BOOTTIME) - started / _TICK, 2) if started >= 0 else -1.0


def written_files(pid: int) -> tuple[str, ...]:
    """Paths of the regular files, by their names, that it has open for writing."""
    found: dict[str, None] = {}
    try:
        numbers = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return ()
    for number in numbers:
        with suppress(OSError):
            path = os.readlink(f"/proc/{pid}/fd/{number}")
            if not path.startswith("/") or path.startswith(("/dev/", "/proc/")) or path.endswith(" (deleted)"):
                continue
            flags = re.search(r"^flags:\s*(\d+)", text_of(f"/proc/{pid}/fdinfo/{number}", 4096), re.MULTILINE)
            if flags and int(flags[1], 8) & os.O_ACCMODE != os.O_RDONLY:
                found.setdefault(path)
    return tuple(found)


def start_time(pid: int) -> int:
    """In clock ticks since boot: with the pid it names one process, also after the pid is used again."""
    return cpu_and_start(pid)[1]


def cpu_and_start(pid: int) -> tuple[float, int]:
    """`cpu_of` and `start_time` in one; (0, -1) where there is no such process."""
    fields = stat_fields(f"/proc/{pid}/stat")
    return ((int(fields[11]) + int(fields[12])) / _TICK, int(fields[19])) if len(fields) > 19 else (0.0, -1)


def sample_threads(pid: int, clocks: TaskClocks | None = None) -> tuple[ThreadSample, ...]:
    """Every thread's counters. With `clocks` also how long ago each last ran."""
    samples = []
    try:
        tids = sorted(int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return ()
    for tid in tids:
        home = f"/proc/{pid}/task/{tid}/"
        sched = fields(home)
        said = text_of(home + "stat")
        stat = said.rpartition(")")[2].split()
        if len(stat) < 37:
            continue  # ended in between
        if "nr_voluntary_switches" in sched:
            switches = int(sched["nr_voluntary_switches"]), int(sched.get("nr_involuntary_switches", 0))
        else:
            status = text_of(home + "status")
            switches = (
                _status_number(status, "voluntary_ctxt_switches"), _status_number(status, "nonvoluntary_ctxt_switches")
            )  # fmt: skip
        runtime = sched.get("se.sum_exec_runtime", -1.0) / 1e3
        wchan = text_of(home + "wchan")
        called = text_of(home + "syscall").split()
        samples.append(
            ThreadSample(
                tid=tid,
                name=said.partition("(")[2].rpartition(")")[0],
                state=stat[0],
                cpu=runtime if runtime >= 0 else (int(stat[11]) + int(stat[12])) / _TICK,
                voluntary=switches[0],
                involuntary=switches[1],
                wchan="" if wchan == "0" else wchan,
                syscall=int(called[0]) if called and called[0].lstrip("-").isdigit() else -1,
                last_ran=_last_ran(stat, sched, clocks),
            )
        )
    return tuple(samples)


def _last_ran(stat: list[str], sched: dict[str, float], clocks: TaskClocks | None) -> float:
    if clocks is None:
        return -1.0
    if stat[0] == "R":
        return 0.0
    return round(clocks.last_ran(sched.get("se.exec_start", 0.0), int(stat[36]), time.monotonic()), 3)


def _status_number(status: str, key: str) -> int:
    match = re.search(rf"^{key}:\s*(\d+)", status, re.MULTILINE)
    return int(match[1]) if match else 0


def command_of(pid: int) -> tuple[str, ...]:
    text = text_of(f"/proc/{pid}/cmdline")
    return tuple(text.rstrip("\0").split("\0")) if text else ()


def mapped_files(pid: int, shared: bool = False) -> tuple[str, ...]:
    """Files that the process has mapped, in the order of their addresses, each once.

    `shared`: only those that it writes to for others to see, as a recorder does; libraries are none of them.
    """
    found: dict[str, None] = {}
    for line in text_of(f"/proc/{pid}/maps", 16 << 20).splitlines():
        fields = line.split(None, 5)
        if len(fields) == 6 and fields[5].startswith("/") and (not shared or fields[1].startswith("rw-s")):
            found.setdefault(fields[5].removesuffix(" (deleted)"))
    return tuple(found)


def versions_of(pid: int, mapped: tuple[str, ...]) -> Versions:
    """Of interpreter, framework, libc and kernel, from the files that the process has mapped."""
    root = _root_of(pid)
    python, framework, libc = "", ("", ""), ""
    for path in mapped:
        if not python and (match := _PYTHON_LIB.search(path)):
            python = match[1] or match[2]
        if not libc and (match := re.search(r"/libc-(\d[\d.]+)\.so$", path)):
            libc = f"glibc {match[1]}"
        if not libc and path.endswith(("/libc.so.6", "/libc.musl-x86_64.so.1")):
            libc = _glibc_version(root / path.lstrip("/"))
        if not framework[0] and (match := _FRAMEWORK_LIB.match(path)):
            framework = _framework_in(root / match[1].lstrip("/"))
    return Versions(
        python=python, framework=framework[0], framework_version=framework[1], libc=libc, kernel=platform.release()
    )


def _root_of(pid: int) -> Path:
    """Where the process's files are for us; "/" where it sees the same, so that what is read once serves for all."""
    there = Path(f"/proc/{pid}/root")
    try:
        same = os.readlink(f"/proc/{pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt") and os.readlink(there) == "/"
    except OSError:
        same = False
    return Path("/") if same else there


@lru_cache(maxsize=256)
def _framework_in(site_packages: Path) -> tuple[str, str]:
    """Name and release of the framework installed there: the process's own files, not this interpreter's."""
    try:
        names = [entry.name for entry in site_packages.iterdir()]
    except OSError:
        return "", ""
    for name in sorted(names):
        if match := _FRAMEWORK_DIST.match(name):
            return match[1].split("_")[0], match[2]
    return "", ""


@lru_cache(maxsize=256)
def _glibc_version(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError:
        return ""
    match = re.search(rb"GNU C Library [^\n]*version (\d+\.\d+)", data)
    return f"glibc {match[1].decode()}" if match else ""


def standard_streams(pid: int) -> tuple[str, ...]:
    """What the process has as its standard error and output: paths, if they are files."""
    found = []
    for number in (2, 1):
        with suppress(OSError):
            found.append(os.readlink(f"/proc/{pid}/fd/{number}"))
    return tuple(found)


def tail(path: Path | None, lines: int = 60, limit: int = 64 << 10) -> tuple[str, ...]:
    """The last lines of a log."""
    data = tail_bytes(path, limit) if path else b""
    return tuple(data.decode("utf-8", "replace").splitlines()[-lines:])


def tail_bytes(path: Path, limit: int) -> bytes:
    """The end of a file, b"" where it cannot be read."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - limit))
            return file.read(limit)
    except OSError:
        return b""


def look(
    pid: int,
    at: float,
    socket_bytes: int,
    log: Path | None,
    step: int,
    events: int,
    group: Cgroup | None = None,
    clocks: TaskClocks | None = None,
    written: Iterable[Path] = (),
) -> Sample:
    """`written`: files that it writes to, where they may be asked for their times."""
    try:
        log_bytes = log.stat().st_size if log else 0
    except OSError:
        log_bytes = 0
    calls, moved = io_of(pid)
    return Sample(
        at=at, threads=sample_threads(pid, clocks), socket_bytes=socket_bytes, log_bytes=log_bytes, step=step,
        events=events, cgroup=group, disk_bytes=disk_bytes_of(pid), io_calls=calls, io_bytes=moved,
        file_offsets=file_offsets_of(pid), file_age=_file_age(written),
    )  # fmt: skip


def _file_age(paths: Iterable[Path]) -> float:
    """Seconds since any of these was last written."""
    times = []
    for path in paths:
        with suppress(OSError):
            times.append(path.stat().st_mtime)
    return round(max(0.0, time.time() - max(times)), 3) if times else -1.0
