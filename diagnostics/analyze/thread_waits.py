"""What each thread of a process waits for, read off its stack. Pure.

Native frames say it for certain; Python's frames alone say it only where the standard library itself waits.
"""

from __future__ import annotations

import enum
import os
import re

from diagnostics.model import Frame, Process, Record, Sample, Thread
from diagnostics.stacks.prefix_tree import main_thread, telling_frames


class For(str, enum.Enum):
    """What a thread waits for."""

    LOCK = "a lock"  # threading.Lock, RLock, or a mutex of native code
    NOTIFY = "a notification"  # condition, event, queue, semaphore of the same process
    JOIN = "another thread's end"
    GIL = "the interpreter lock"
    CHILD = "a child process"
    WORLD = "the outside world"  # a file, pipe, socket, signal
    TIME = "a time"
    NOTHING = "nothing: it runs"
    UNKNOWN = "something that its stack does not tell"


class ThreadWait(Record, frozen=True):
    """`limited`: it has a timeout. `at` is the program's own innermost frame, as `function (file:line)`."""

    thread: Thread
    waits: For
    at: str
    limited: bool = False


_PYTHON_LOCK = re.compile(
    r"^(lock_PyThread_acquire_lock|rlock_acquire|acquire_timed|PyThread_acquire_lock(_timed)?|_?PyMutex_Lock(Timed)?"
    r"|_PyRecursiveMutex_Lock\w*|lock_acquire)$"
)
_MUTEX = re.compile(r"^_*(lll_lock_wait|pthread_mutex_(lock|cond_lock)|pthread_rwlock_\w*lock|pthread_mutex_lock_full)")
_JOIN = re.compile(r"^_*(pthread_(clock|timed)?join\w*|PyThread_join_thread|ThreadHandle_join)")
_GIL = re.compile(r"^(take_gil|PyEval_AcquireThread|PyEval_RestoreThread)$")
_CONDITION = re.compile(r"^_*(pthread_cond_\w*wait\w*|new_sem_\w*wait\w*|sem_\w*wait\w*)|^do_futex_wait$|nsync_")
_CHILD = re.compile(r"^_*(GI_+)?(wait4|waitpid|waitid)$")
_WORLD = re.compile(
    r"^_*(GI_+)?(libc_)?(read|readv|pread64|recv\w*|accept4?|poll|ppoll|select|pselect\w*|epoll_p?wait\w*|connect"
    r"|write|writev|pwrite64|send\w*|open\w*|fsync|flock|sigwait\w*|sigtimedwait|pause|ioctl)(64)?(_nocancel)?$"
)
_TIME = re.compile(r"^_*(GI_+)?(clock_)?nanosleep\w*$|^pysleep$|^time_sleep$")
_LIMITED = re.compile(r"timedwait|clockwait|timedjoin|clockjoin")

_LIBRARY = (
    "threading.py", "queue.py", "subprocess.py", "selectors.py", "socket.py", "ssl.py", "_base.py", "thread.py",
    "popen_fork.py", "popen_spawn_posix.py", "process.py", "context.py", "connection.py", "synchronize.py",
)  # fmt: skip
_BY_LIBRARY = {
    ("threading.py", "wait"): For.NOTIFY,
    ("threading.py", "wait_for"): For.NOTIFY,
    ("threading.py", "_wait_for_tstate_lock"): For.JOIN,
    ("threading.py", "join"): For.JOIN,
    ("queue.py", "get"): For.NOTIFY,
    ("queue.py", "put"): For.NOTIFY,
    ("pool.py", "worker"): For.NOTIFY,
    ("pool.py", "_handle_tasks"): For.NOTIFY,
    ("pool.py", "_handle_results"): For.NOTIFY,
    ("subprocess.py", "_try_wait"): For.CHILD,
    ("subprocess.py", "_wait"): For.CHILD,
    ("popen_fork.py", "poll"): For.CHILD,
    ("selectors.py", "select"): For.WORLD,
    ("socket.py", "accept"): For.WORLD,
    ("socket.py", "readinto"): For.WORLD,
}


def short(frame: Frame) -> str:
    """A Python function without its class, as every tool and release but the newest writes it."""
    return frame.function if frame.native else frame.function.rpartition(".")[2]


def place(frame: Frame | None) -> str:
    if frame is None:
        return ""
    where = os.path.basename(frame.file)
    return f"{frame.function} ({where}:{frame.line})" if frame.line else f"{frame.function} ({where})"


def wait_of(thread: Thread) -> ThreadWait:
    """What the thread waits for."""
    python = [frame for frame in thread.frames if not frame.native]
    own = [frame for frame in python if os.path.basename(frame.file) not in _LIBRARY]
    frames = telling_frames(thread)
    at = place(own[-1] if own else python[-1] if python else _own_native(frames))
    inner = _inner_native(thread.frames)
    names = [frame.function for frame in inner]
    limited = any(_LIMITED.search(name) for name in names)
    last = (os.path.basename(python[-1].file), short(python[-1])) if python else ("", "")
    by_library = _BY_LIBRARY.get(last)
    return ThreadWait(thread, _kind(names, by_library, bool(python)), at, limited)


def _inner_native(frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """The native frames inside the innermost Python frame; all, where there is none."""
    last = max((index for index, frame in enumerate(frames) if not frame.native), default=-1)
    return frames[last + 1 :]


def _own_native(frames: tuple[Frame, ...]) -> Frame | None:
    """The native function that called the wait."""
    waiting = (_MUTEX, _JOIN, _CONDITION, _WORLD, _TIME, _CHILD)
    own = [frame for frame in frames if not any(pattern.search(frame.function) for pattern in waiting)]
    return own[-1] if own else None


def _kind(names: list[str], by_library: For | None, python: bool) -> For:
    """By the native frames inside; the library's own function says what a lock is used for."""
    if any(_GIL.match(name) for name in names):
        return For.GIL
    if any(_JOIN.match(name) for name in names):
        return For.JOIN
    if any(_PYTHON_LOCK.match(name) for name in names):
        # Without Python's frames a lock of Python may be anybody's: conditions and queues are made of them.
        return by_library or (For.LOCK if python else For.UNKNOWN)
    if any(_MUTEX.match(name) for name in names):
        return For.LOCK
    for pattern, kind in ((_CHILD, For.CHILD), (_TIME, For.TIME), (_WORLD, For.WORLD), (_CONDITION, For.NOTIFY)):
        if any(pattern.search(name) for name in names):
            return kind
    return by_library or For.UNKNOWN


def waits_of(process: Process) -> tuple[ThreadWait, ...]:
    return tuple(wait_of(thread) for thread in process.threads if thread.frames)


def stood_still(process: Process, tid: int) -> bool:
    """Whether the thread was not scheduled at all between the two looks."""
    looks = [_counts(sample, tid) for sample in process.samples]
    return len(looks) > 1 and looks[0] is not None and looks[0] == looks[-1]


def _counts(sample: Sample, tid: int) -> tuple[float, int, int] | None:
    return next(((t.cpu, t.voluntary, t.involuntary) for t in sample.threads if t.tid == tid), None)


_TEARDOWN = frozenset({"destroy_process_group", "_exit_function", "_shutdown", "shutdown"})


def rests(process: Process) -> bool:
    """Whether its main thread waits for an event or tears down, and not for a lock, its input or a child."""
    main = main_thread(process)
    if main is None or not (process.samples and stood_still(process, main.tid)):
        return False
    leaving = any(short(frame) in _TEARDOWN for frame in main.frames if not frame.native)
    return leaving or wait_of(main).waits in (For.NOTIFY, For.JOIN)
