"""Native code waits for something and keeps the interpreter lock, so no other Python thread can bring it about.

What carries the cause: threads that wait for the interpreter lock, and one that holds it and stands in a native
wait: in a library's call, a lock, a driver's call that waits for the device. A host function of a stream that needs
the interpreter lock, while the thread that synchronises keeps it, is of the same kind.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.analyze.movement import movement
from diagnostics.analyze.progress import Limits
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import At, holds_it_itself, is_called_by_driver, is_python, threads_at
from diagnostics.model import GONE, Process, Role, State, WaitKind
from diagnostics.stacks.position import pairs


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process) for process in facts.processes if process.state not in GONE)


def _examine_process(process: Process) -> Case | None:
    starved = [At(process, thread, position) for thread, position in pairs(process) if position.waits is WaitKind.GIL]
    holders = [at for at in threads_at(process) if at.thread.holds_gil and at.position.waits is not WaitKind.GIL]
    in_driver = [at for at in holders if at.position.has(Role.DEVICE, Role.DEVICE_LAUNCH)]
    if not (starved or in_driver) or any(map(holds_it_itself, holders)):
        return None  # a mutex of its own comes free for nobody, with or without the interpreter lock
    case = Case("gil-held")
    where = [process.rank]
    if starved:
        count = "a thread waits" if len(starved) == 1 else f"{len(starved)} threads wait"
        case.saw("starved", f"{count} for the interpreter lock, such as {starved[0].where}", "native stacks", where)
    _look_at_holder(case, process, holders, where)
    if in_driver and (called := next(filter(is_called_by_driver, starved), None)):
        said = f"the device's driver calls back in thread {called.thread.tid}, which waits for the interpreter lock"
        case.saw("driver-calls-back", f"{said}: the device may wait for it", "native stacks", where)
    elif in_driver and process.state is not State.HUNG and process.samples:
        case.saw("may-be-long", "what it waits for in the driver may be a long kernel", "samples", where)
    if len(process.samples) < 2:
        case.saw("dumped", "somebody took a dump of it, as is done of what hangs", "dump", where)
        case.needs("a second sample, to see whether the holder of the interpreter lock computes: attach to the process")
    elif process.state is State.HUNG:
        case.saw("hung", process.state_why or "it hangs", "samples", where)
    elif moved := movement(process, Limits()).words:
        case.saw("moved", f"the process is at work: {moved}", "samples", where)
    else:
        case.saw("nothing-moved", "nothing moved between two samples: nobody computes", "samples", where)
    return case


def _look_at_holder(case: Case, process: Process, told: list[At], where: list[str]) -> None:
    holders = told or [at for at in threads_at(process) if _may_hold(at)]
    if not holders:
        case.needs("which thread holds the interpreter lock: pystack or py-spy say it of a process that stands still")
        return
    holder = holders[0]
    waits = holder.position.waits
    if holder.position.has(Role.DEVICE, Role.DEVICE_LAUNCH):
        said = f"the thread that holds it is inside the device's driver: {holder.where}"
        case.saw("holder-in-driver" if told else "holder-may-wait", said, "native stacks", where)
    elif waits not in (WaitKind.NOTHING, WaitKind.UNKNOWN, WaitKind.GIL):
        said = f"the thread that holds it waits in native code for {waits.words}: {holder.where}"
        case.saw("holder-waits" if told else "holder-may-wait", said, "native stacks", where)
    else:
        case.saw("holder-elsewhere", f"the thread that holds it is in {holder.where}", "native stacks", where)


def _may_hold(at: At) -> bool:
    """A native wait below Python's frames that is not one of the interpreter's own."""
    frames = at.thread.frames
    inner = frames[max((index for index, frame in enumerate(frames) if not frame.native), default=-1) + 1 :]
    own = any("python" in frame.file.rpartition("/")[2] for frame in inner)
    waits = at.position.waits
    return is_python(at) and bool(inner) and not own and waits not in (WaitKind.NOTHING, WaitKind.UNKNOWN, WaitKind.GIL)


CAUSE = Cause(
    id="gil-held",
    family="gil-deadlock",
    title="Native code waits and keeps the interpreter lock, which the threads that it waits for need",
    examine=examine,
    not_to_be_confused_with=(
        "Threads that wait for the interpreter lock are common in a busy program. Only a holder that itself waits, "
        "with nothing moving between two samples, is a deadlock; a holder that computes is slow."
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
