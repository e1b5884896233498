"""Native code waits for something and keeps the interpreter lock, so no other Python thread can bring it about.

What carries the cause: threads that wait in `take_gil`, and one that stands in a native wait below its Python frames
without having let go of the lock.
"""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.analyze.facts import Facts
from diagnostics.analyze.progress import Limits, has_moved
from diagnostics.analyze.thread_waits import For, ThreadWait, waits_of
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.model import Process
from diagnostics.stacks.prefix_tree import telling_frames

_BLOCKING = (For.WORLD, For.LOCK, For.TIME, For.CHILD, For.JOIN, For.NOTIFY)
_LETS_GO = ("lock_PyThread_acquire_lock", "acquire_timed", "rlock_acquire", "time_sleep", "os_", "sock_", "select_")
"""CPython's own waits let go of the lock before they wait."""


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process) for process in facts.processes)


def _examine_process(process: Process) -> Case | None:
    waits = waits_of(process)
    starved = [wait for wait in waits if wait.waits is For.GIL]
    if not starved:
        return None
    case = Case("gil-held")
    where = [process.rank]
    said = f"{len(starved)} threads wait for the interpreter lock, such as {starved[0].at}"
    case.saw("starved", said.replace("1 threads wait", "a thread waits"), "native stacks", where)
    _look_at_holder(case, [wait for wait in waits if wait not in starved], where)
    if len(process.samples) < 2:
        case.needs("a second look, to see whether the holder of the interpreter lock computes: attach to the process")
    elif moved := has_moved(process.samples, Limits()):
        case.saw("moved", f"the process is at work: {moved}", "two samples", where)
    else:
        case.saw("nothing-moved", "nothing moved between two looks: nobody computes", "two samples", where)
    return case


def _look_at_holder(case: Case, others: Sequence[ThreadWait], where: list[str]) -> None:
    told = [wait for wait in others if wait.thread.holds_gil]
    holders = told or [wait for wait in others if _may_hold(wait)]
    if not holders:
        case.needs("which thread holds the interpreter lock: pystack or py-spy say it of a process that stands still")
        return
    holder = holders[0]
    inner = [frame.function for frame in telling_frames(holder.thread) if frame.native]
    call = f"{holder.at} in {inner[-1]}" if inner else holder.at
    if holder.waits in _BLOCKING:
        said = f"the thread that holds it waits in native code for {holder.waits.value}: {call}"
        case.saw("holder-waits", said, "native stacks", where)
    else:
        case.saw("holder-elsewhere", f"the thread that holds it is in {call}", "native stacks", where)


def _may_hold(wait: ThreadWait) -> bool:
    """A native wait below Python's frames that is not one of the interpreter's own."""
    frames = wait.thread.frames
    last = max((index for index, frame in enumerate(frames) if not frame.native), default=-1)
    inner = [frame.function for frame in frames[last + 1 :]]
    return last >= 0 and wait.waits in _BLOCKING and not any(name.startswith(_LETS_GO) for name in inner)


CAUSE = Cause(
    id="gil-held",
    family="gil-deadlock",
    title="Native code waits and keeps the interpreter lock, which the threads that it waits for need",
    examine=examine,
    not_to_be_confused_with=(
        "Threads that wait for the interpreter lock are common in a busy program. Only a holder that itself waits, "
        "with nothing moving between two looks, is a deadlock; a holder that computes is slow."
    ),
    versions="CPython of any release with an interpreter lock; extensions, ctypes.PyDLL, callbacks from native threads",
    remedies=(
        Remedy(
            "release-gil",
            "Release the lock around the native wait: Py_BEGIN_ALLOW_THREADS, pybind11's "
            "call_guard<gil_scoped_release>, `with nogil` in Cython, ctypes.CDLL in place of ctypes.PyDLL",
        ),
        Remedy("no-native-wait", "Or do not wait in native code for what a Python thread has to do"),
    ),
    references=(
        "https://docs.python.org/3/c-api/init.html#releasing-the-gil-from-extension-code",
        "https://pybind11.readthedocs.io/en/stable/advanced/misc.html#global-interpreter-lock-gil",
    ),
    scenario="gil-held",
    search_for=(
        'Thread 4711 (active+gil): "MainThread"',
        "    read (libc.so.6)",
        "    _ctypes_callproc (_ctypes.so)",
        'Thread 4712 (idle): "loader"',
        "    pthread_cond_timedwait (libc.so.6)",
        "    take_gil (libpython3.11.so.1.0)",
    ),
)
