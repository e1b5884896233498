"""What was observed in the processes of a job, and nothing else.

Plain frozen values. Times are seconds; wall times are seconds since the epoch (UTC), monotonic times are
CLOCK_MONOTONIC of the host they were taken on.
"""

from __future__ import annotations

import msgspec

from diagnostics.model.devices import Device, DeviceLook, KernelLine
from diagnostics.model.logfact import LogFact
from diagnostics.model.own_state import (
    Collective,
    Coroutine,
    Flight,
    LockBlock,
    Partner,
    ProcessGroup,
    Task,
    TasksWatched,
)
from diagnostics.model.position import Position
from diagnostics.model.record import Record
from diagnostics.model.stack import Thread
from diagnostics.model.state import State
from diagnostics.model.trace import TraceResult

FORMAT = 2
"""Version of the stored form of `Collection`; a reader refuses what it does not know."""
BUNDLE_SUFFIX = ".tar.zst"
"""How the name of a bundle ends, the file that a collection is kept in."""


class ThreadSample(Record, frozen=True, gc=False):
    """A thread's counters in /proc/PID/task/TID at one moment (man 5 proc)."""

    tid: int
    name: str
    state: str  # one letter: R S D T t Z X I
    cpu: float  # user + system time
    voluntary: int  # context switches
    involuntary: int
    wchan: str = ""  # kernel function it sleeps in; "" where the kernel does not tell
    syscall: int = -1  # -1: running, or not readable
    last_ran: float = -1.0  # seconds before the sample that it last ran on a core; -1 where the kernel does not tell


class BlockingCall(Record, frozen=True, gc=False):
    """The system call that a thread is blocked in, as the kernel tells it, and what its arguments stand for.

    `kind`: `mutex` (of pthreads; the thread `holder` holds it), `futex` (any other lock or notification: who would end
    it is not known), `socket` (`what`: `local -> remote`), `pipe`, `file` (path and file system), `terminal`, `event`,
    `child`, `time`, `signal`, `several` (any of several files), `call`. `others`: processes of the same host that have
    the other end of the pipe or socket open, or the children waited for. `peer`: the rank that has the other end.
    """

    tid: int
    call: str
    kind: str
    what: str = ""
    holder: int = 0
    others: tuple[int, ...] = ()
    peer: str = ""
    owner: int = 0  # the thread id in the lock's owner word, also where no thread of that id is left
    limited: bool = False  # it comes back by itself after a time
    ends_in: float = -1.0  # seconds after which it does, from now or from when it began; -1: never, or not known


class Cgroup(Record, frozen=True):
    """What the process's control group says of its limits, at one moment; -1 where there is none or it is not told.

    `periods` of the CPU quota have passed, `throttled` of them with threads that had to wait for the rest of it.
    """

    memory: int = -1  # bytes
    memory_limit: int = -1
    oom_kills: int = -1
    cpus: float = -1.0  # quota, in cores
    periods: int = -1
    throttled: int = -1
    throttled_seconds: float = -1.0
    frozen: bool = False


class Memory(Record, frozen=True):
    """Of a rank that was ended at its memory limit, in bytes; -1 where it is not known.

    `seen` is what its control group held when it was looked at last, `predicted` what a plan says that the rank needs.
    """

    limit: int = -1
    seen: int = -1
    predicted: int = -1


class FileLock(Record, frozen=True):
    """A lock on a file that the process holds, waits for or has open (/proc/locks), or a lock file by its name.

    `kind`: `flock`, `posix`, `lease`, `ofd`, or `name` (a file whose existence is the lock). `holders`: process ids; ()
    where nobody has it, or nobody who may be seen.
    """

    path: str
    kind: str
    waits: bool = False  # it waits for it; else it holds it, or others do, as `holders` tells
    holders: tuple[int, ...] = ()


class Interface(Record, frozen=True):
    """A network device of the process's network, with its counters (struct rtnl_link_stats64)."""

    name: str
    sent: int
    received: int
    dropped: int
    errors: int
    discipline: str = ""  # queueing discipline: what shapes the sending


class Loop(Record, frozen=True, gc=False):
    """A loop of Python that a thread goes round in, as its source tells.

    `asks`: it keeps nothing and calls nothing for its effect, so it only waits; else it works on variables of its own
    alone. `about`: the path or name that it asks for. `states`: digests of its variables, one a reading, less those
    that number the rounds; `within`: the same of readings that met it within one of its own calls. `until_ended`: it
    waits for a flag that people set to end a program; `serves`: it is in a loop that has no end. `limited`: it gives
    up. `until_time`: only the clock ends it, so that it waits for nobody. `tells`: it ends only when others have done
    something, and what it does meanwhile, but for sleeping, is to tell how it goes: it wakes nobody. `makes`: it tries
    to make a file, link or folder that is there, as locks are taken that are names.
    """

    tid: int
    function: str
    file: str
    line: int  # where it asks
    asks: bool
    limited: bool = False
    until_ended: bool = False
    serves: bool = False
    about: str = ""
    states: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    until_time: bool = False
    tells: bool = False
    makes: bool = False


class Sample(Record, frozen=True):
    """What was seen of a process from outside at one time. `at` is monotonic."""

    at: float
    threads: tuple[ThreadSample, ...]
    socket_bytes: int = 0  # sent + received over all its TCP connections so far
    log_bytes: int = 0
    step: int = -1  # recorder's current step, -1 without a recorder
    events: int = -1  # number of recorder events so far
    cgroup: Cgroup | None = None
    disk_bytes: int = -1  # read from and written to storage so far; -1 where the kernel does not tell
    io_bytes: int = -1  # read and written so far, of any file, pipe or terminal
    io_written: int = -1  # of these, written
    file_offsets: int = -1  # sum of the offsets of its open files: a step that only prints moves it
    file_age: float = -1.0  # seconds since any file that it has open for writing was last written
    loops: tuple[Loop, ...] = ()
    variables: str = ""  # digest of the variables of a main thread that sleeps, in no loop that is known to wait

    @property
    def cpu(self) -> float:
        return sum([thread.cpu for thread in self.threads])  # a hundred thousand ranks ask: no generator

    @property
    def switches(self) -> int:
        return sum(thread.voluntary + thread.involuntary for thread in self.threads)


class Connection(Record, frozen=True, gc=False):
    """A TCP connection of the process, from the kernel's sock_diag (struct tcp_info).

    `quiet` is the time since data was last sent or received, whichever is later; `unsent` and `unacked` are
    bytes and segments that wait on this side, `unread` bytes that the process has not taken.
    """

    local: str
    remote: str
    state: str
    peer: str = ""  # rank that serves the other end, where known
    last_sent: float = -1.0
    last_received: float = -1.0
    bytes_sent: int = 0
    bytes_received: int = 0
    unread: int = 0
    unsent: int = 0
    unacked: int = 0
    retransmits: int = 0
    bytes_acked: int = 0  # of what was sent; after an active open 1 more
    backoff: int = 0  # the oldest unacknowledged segment has been sent again so often, in vain
    rtt: float = -1.0  # seconds, smoothed
    listener: bool | None = None  # of one that is not answered yet, on the same host: whether anybody listens there

    @property
    def quiet(self) -> float:
        """Seconds since data last moved in either direction; -1 where the kernel did not tell."""
        known = [age for age in (self.last_sent, self.last_received) if age >= 0]
        return min(known) if known else -1.0


class Listener(Record, frozen=True, gc=False):
    """A TCP address that a process serves. `waiting` connections are not accepted yet, of at most `backlog`."""

    address: str
    waiting: int = 0
    backlog: int = 0


class Attempt(Record, frozen=True):
    """One stack collector tried on one process."""

    collector: str
    ok: bool
    seconds: float
    pause: float = 0.0  # so long was the target stopped
    why_not: str = ""
    stopped: int = -1  # so many threads were stopped; -1: all of them, or not told


class Versions(Record, frozen=True):
    """Of what the process runs on; "" where it could not be seen."""

    python: str = ""
    framework: str = ""  # "tensorflow", "torch"
    framework_version: str = ""
    libc: str = ""
    kernel: str = ""


class Observed(Record, frozen=True, kw_only=True):
    """What the collector's sources tell of a process. A field here is all that a new source needs besides its file."""

    samples: tuple[Sample, ...] = ()
    command: tuple[str, ...] = ()
    parent: int = 0  # process id
    age: float = -1.0  # seconds since it started
    exit_status: int | None = None  # negative: the signal that ended it
    connections: tuple[Connection, ...] = ()
    listens: tuple[str, ...] = ()
    listeners: tuple[Listener, ...] = ()  # the same, with who waits to be accepted
    blocking_calls: tuple[BlockingCall, ...] = ()  # of the threads that slept at the second sample
    flight: Flight | None = None
    log_tail: tuple[str, ...] = ()
    versions: Versions = Versions()
    interfaces: tuple[Interface, ...] = ()
    locks: tuple[FileLock, ...] = ()
    collectives: tuple[Collective, ...] = ()
    groups: tuple[ProcessGroup, ...] = ()
    framework_why_not: str = ""  # why the framework's own state was not read


class Process(Observed, frozen=True):
    """All evidence of one process of the job."""

    rank: str
    pid: int
    host: str
    state: State = State.UNKNOWN  # judged, as the next three
    state_why: str = ""
    since: float = -1.0  # seconds that it has been in that state; -1: not known
    positions: tuple[Position, ...] = ()  # classified, one a thread
    stacks_from: str = ""  # the stack collectors that answered
    pause: float = 0.0  # seconds that it was stopped for, longest of the attempts
    why_not: str = ""  # why there is no stack
    threads: tuple[Thread, ...] = ()
    later: tuple[Thread, ...] = ()  # Python's frames once more at the last sample, where there were more than two
    facts: tuple[LogFact, ...] = ()  # what its log says of the hang
    tasks: tuple[Task, ...] = ()  # of the cluster that it belongs to
    partners: tuple[Partner, ...] = ()  # of the threads that stand in a send or receive
    feeds_itself: bool = False  # its source fills queues of TensorFlow by threads of its own, and has no queue runners
    coroutines: tuple[Coroutine, ...] = ()  # suspended, of its event loops
    lock_blocks: tuple[LockBlock, ...] = ()  # where a thread waits for a lock of Python
    tasks_watched: TasksWatched | None = None  # where only what wakes by the clock was seen to move
    dump: str = ""  # the tools whose dump it is known from; "" where we looked ourselves
    attempts: tuple[Attempt, ...] = ()
    exit_order: int = -1  # of the ranks that ended, from 0
    out_of_memory: bool = False  # ended by the kernel, at its memory limit
    memory: Memory = Memory()
    device_look: DeviceLook | None = None  # where the user asked for it
    running_after: bool | None = None  # sampled once more after the last stack


class Collection(Record, frozen=True):
    """One collection: every expected rank, with its evidence or the reason why there is none.

    `skew` is the time between the first and the last stack taken.
    """

    collected_at: float  # wall
    seconds: float
    processes: tuple[Process, ...]
    expected: tuple[str, ...] = ()
    skew: float = 0.0
    scenario: dict[str, str] = msgspec.field(default_factory=dict)  # what was run, where a trial made this
    tool_version: str = ""
    trace: TraceResult | None = None  # where probes ran with it
    devices: tuple[Device, ...] = ()
    kernel_log: tuple[KernelLine, ...] = ()
    left_out: tuple[str, ...] = ()  # sources that gave nothing, each with its reason
    format: int = FORMAT
