"""What /proc tells of a process without touching it (man 5 proc). Never stops the target.

Goes along to other hosts, so: CPython 3.6 and later, the standard library alone.
"""

import os
import re
import stat
import time
from typing import Dict, List, NamedTuple, Optional, Pattern, Set, Tuple

from diagnostics.collector.kernel import Name, stat_fields, text_of
from diagnostics.collector.sched import TaskClocks, fields

_TICK = os.sysconf("SC_CLK_TCK")
MAX_MAPS = 16 << 20
_SWITCHES = re.compile(
    r"^State:\s*(\w).*^voluntary_ctxt_switches:\s*(\d+)\s*^nonvoluntary_ctxt_switches:\s*(\d+)", re.DOTALL | re.M
)
_COUNT = re.compile(r"^(rchar|wchar|read_bytes|write_bytes): (\d+)$", re.MULTILINE)


class ThreadSample(NamedTuple):
    """A thread's counters at one moment; as `diagnostics.model.ThreadSample`, which tells more."""

    tid: int
    name: str
    state: str
    cpu: float
    voluntary: int
    involuntary: int
    wchan: str = ""
    syscall: int = -1
    last_ran: float = -1.0


def exists(pid: int) -> bool:
    """Whether there is such a process that is not a zombie."""
    return state_of(pid) not in ("", "Z", "X")


def state_of(pid: int) -> str:
    """The main thread's state letter, "" where there is no such process."""
    return stat_fields("/proc/%d/stat" % pid)[0]


def settled_state(pid: int, patience: float = 0.05) -> str:
    """As `state_of`, but "D" where a thread stays in uninterruptible sleep for `patience` seconds."""
    blocked = blocked_threads(pid)
    deadline = time.monotonic() + patience
    while blocked and time.monotonic() < deadline:
        time.sleep(0.005)
        blocked &= blocked_threads(pid)
    return "D" if blocked else state_of(pid)


_FUSE_WAIT = "request_wait_answer"
"""Where a thread waits for a file system in user space. Interrupted, it goes on waiting, in state D."""


def blocked_threads(pid: int) -> Set[Tuple[int, int]]:
    """Threads that no tracer could stop, each with its context switches: with the same number it is the same wait."""
    found = set()
    may_be_fuse = " - fuse" in text_of("/proc/%d/mountinfo" % pid, 4 << 20)
    for tid in tasks_of(pid):
        home = "/proc/%d/task/%d/" % (pid, tid)
        state = stat_fields(home + "stat")[0]
        if state == "D" or (may_be_fuse and state == "S" and text_of(home + "wchan") == _FUSE_WAIT):
            found.add((tid, _status_number(text_of(home + "status"), "voluntary_ctxt_switches")))
    return found


def tasks_of(pid: int) -> List[int]:
    """Ids of its threads, in order; [] where there is no such process."""
    try:
        return sorted(int(name) for name in os.listdir("/proc/%d/task" % pid))
    except OSError:
        return []


def uid_of(pid: int) -> int:
    try:
        return os.stat("/proc/%d" % pid).st_uid
    except OSError:
        return -1


def parent_of(pid: int) -> int:
    """The parent's pid, 0 where there is none."""
    found = stat_fields("/proc/%d/stat" % pid)
    return int(found[1]) if len(found) > 1 else 0


def exit_status_of(pid: int) -> Optional[int]:
    """How a process ended that nobody has waited for yet, negative for the signal; None where it runs or is not told.

    It is the last field of its stat, 0 for who may not trace it.
    """
    found = stat_fields("/proc/%d/stat" % pid)
    if found[0] != "Z" or len(found) < 50 or os.geteuid() not in (0, uid_of(pid)) or len(tasks_of(pid)) > 1:
        return None
    status = int(found[49])
    return -(status & 127) if status & 127 else status >> 8


def children_of(pid: int) -> Tuple[int, ...]:
    """Processes that it has started and that have not been waited for."""
    lists = (text_of("/proc/%d/task/%d/children" % (pid, tid)) for tid in tasks_of(pid))
    return tuple(sorted(int(word) for text in lists for word in text.split()))


def cpu_of(pid: int) -> float:
    """Seconds of user and system time of all its threads."""
    return cpu_and_start(pid)[0]


class Moved(NamedTuple):
    """Bytes so far; -1: it is not told. `disk`: read from storage, and written to it or left to be written."""

    moved: int = -1  # read and written, of any file, pipe or terminal
    written: int = -1
    disk: int = -1


def io_of(pid: int) -> Moved:
    counts = {name: int(number) for name, number in _COUNT.findall(text_of("/proc/%d/io" % pid))}
    if len(counts) < 4:
        return Moved()
    return Moved(counts["rchar"] + counts["wchar"], counts["wchar"], counts["read_bytes"] + counts["write_bytes"])


def file_offsets_of(pid: int) -> int:
    """Sum of the offsets of all that it has open, -1 where it may not be seen. Asks no file system."""
    try:
        numbers = os.listdir("/proc/%d/fdinfo" % pid)
    except OSError:
        return -1
    found = (re.match(r"pos:\s*(\d+)", text_of("/proc/%d/fdinfo/%s" % (pid, number), 4096)) for number in numbers)
    return sum(int(match.group(1)) for match in found if match)


def age_of(pid: int) -> float:
    """Seconds since it started, within a clock tick; -1 where there is no such process."""
    started = start_time(pid)
    return round(time.clock_gettime(7) - started / _TICK, 2) if started >= 0 else -1.0  # 7: CLOCK_BOOTTIME


def open_files(pid: int) -> Dict[str, str]:
    """Descriptor -> what it stands for: a path, or a kind and an inode."""
    found = {}
    try:
        for number in os.listdir("/proc/%d/fd" % pid):
            try:
                found[number] = os.readlink("/proc/%d/fd/%s" % (pid, number))
            except OSError:
                continue
    except OSError:
        pass
    return found


def written_files(pid: int) -> Tuple[str, ...]:
    """Paths of the files that it has open for writing; no devices, and none that were deleted."""
    found: Dict[str, None] = {}
    for number, path in open_files(pid).items():
        if not path.startswith("/") or path.startswith(("/dev/", "/proc/")) or path.endswith(" (deleted)"):
            continue
        flags = re.search(r"^flags:\s*(\d+)", text_of("/proc/%d/fdinfo/%s" % (pid, number), 4096), re.MULTILINE)
        if flags and int(flags.group(1), 8) & os.O_ACCMODE != os.O_RDONLY:
            found.setdefault(path)
    return tuple(found)


def start_time(pid: int) -> int:
    """In clock ticks since boot: with the pid it names one process, also after the pid is used again."""
    return cpu_and_start(pid)[1]


def cpu_and_start(pid: int) -> Tuple[float, int]:
    """`cpu_of` and `start_time` in one; (0, -1) where there is no such process."""
    found = stat_fields("/proc/%d/stat" % pid)
    return ((int(found[11]) + int(found[12])) / _TICK, int(found[19])) if len(found) > 19 else (0.0, -1)


def sample_threads(pid: int, clocks: Optional[TaskClocks] = None) -> Tuple[ThreadSample, ...]:
    """Every thread's counters. With `clocks` also how long ago each last ran."""
    samples = (_sample_thread(pid, tid, clocks) for tid in tasks_of(pid))
    return tuple(sample for sample in samples if sample)


def _sample_thread(pid: int, tid: int, clocks: Optional[TaskClocks]) -> Optional[ThreadSample]:
    home = "/proc/%d/task/%d/" % (pid, tid)
    sched = fields(home)
    said = text_of(home + "stat")
    told = said.rpartition(")")[2].split()
    if len(told) < 37:
        return None  # ended in between
    runtime = sched.get("se.sum_exec_runtime", -1.0) / 1e3
    wchan, called = text_of(home + "wchan"), text_of(home + "syscall").split()
    voluntary, involuntary = _switches(home, sched)
    return ThreadSample(
        tid=tid,
        name=said.partition("(")[2].rpartition(")")[0],
        state=told[0],
        cpu=runtime if runtime >= 0 else (int(told[11]) + int(told[12])) / _TICK,
        voluntary=voluntary,
        involuntary=involuntary,
        wchan="" if wchan == "0" else wchan,
        syscall=int(called[0]) if called and called[0].lstrip("-").isdigit() else -1,
        last_ran=_last_ran(told, sched, clocks),
    )


def switches_of(pid: int) -> List[Tuple[int, str, int]]:
    """Of every thread its id, its state, and how often it was switched to something else; one file is read for each."""
    found = []
    for tid in tasks_of(pid):
        match = _SWITCHES.search(text_of("/proc/%d/task/%d/status" % (pid, tid)))
        if match:
            found.append((tid, match.group(1), int(match.group(2)) + int(match.group(3))))
    return found


def _switches(home: str, sched: Dict[str, float]) -> Tuple[int, int]:
    if "nr_voluntary_switches" in sched:
        return int(sched["nr_voluntary_switches"]), int(sched.get("nr_involuntary_switches", 0))
    status = text_of(home + "status")
    return _status_number(status, "voluntary_ctxt_switches"), _status_number(status, "nonvoluntary_ctxt_switches")


def _last_ran(told: List[str], sched: Dict[str, float], clocks: Optional[TaskClocks]) -> float:
    if clocks is None:
        return -1.0
    if told[0] == "R":
        return 0.0
    return round(clocks.last_ran(sched.get("se.exec_start", 0.0), int(told[36]), time.monotonic()), 3)


def _status_number(status: str, key: str) -> int:
    match = re.search(r"^%s:\s*(\d+)" % key, status, re.MULTILINE)
    return int(match.group(1)) if match else 0


def command_of(pid: int) -> Tuple[str, ...]:
    text = text_of("/proc/%d/cmdline" % pid)
    return tuple(text.rstrip("\0").split("\0")) if text else ()


def mapped_files(pid: int, shared: bool = False, like: Optional[Pattern[str]] = None) -> Tuple[str, ...]:
    """Files that the process has mapped, in the order of their addresses, each once.

    `shared`: only those that it writes to for others to see, as a recorder does; libraries are none of them.
    `like`: only those that this is found in.
    """
    found: Dict[str, None] = {}
    text = text_of("/proc/%d/maps" % pid, MAX_MAPS)
    if (shared and " rw-s " not in text) or (like and not like.search(text)):
        return ()  # as of most processes of a machine
    for line in text.splitlines():
        at = line.find(" /")
        if at < 0 or (shared and " rw-s " not in line) or (like and not like.search(line)):
            continue
        path = line[at + 1 :]
        if path not in found and "[" not in line[:at] and (not shared or line.split(None, 2)[1] == "rw-s"):
            found.setdefault(path[: -len(" (deleted)")] if path.endswith(" (deleted)") else path)
    return tuple(found)


def standard_streams(pid: int) -> Tuple[str, ...]:
    """What the process has as its standard error and output: paths, if they are files."""
    found = []
    for number in (2, 1):
        try:
            found.append(os.readlink("/proc/%d/fd/%d" % (pid, number)))
        except OSError:
            continue
    return tuple(found)


def is_file(path: str) -> bool:
    """Whether it is a regular file; asks its file system."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def tail(path: Optional[Name], lines: int = 60, limit: int = 64 << 10) -> Tuple[str, ...]:
    """The last lines of a log."""
    data = tail_bytes(path, limit) if path else b""
    return tuple(data.decode("utf-8", "replace").splitlines()[-lines:])


def tail_bytes(path: Name, limit: int) -> bytes:
    """The end of a file, b"" where it cannot be read."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - limit))
            return file.read(limit)
    except OSError:
        return b""
