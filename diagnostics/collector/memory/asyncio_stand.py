"""Whether the tasks of an event loop stand while others only sleep and report, seen for some time.

That a task is at the same place twice says little: it may have been round meanwhile. But who waits for an event, a
lock, a queue of asyncio is in a deque, and CPython counts every change of one (`state`, Modules/_collectionsmodule.c);
the callbacks that a loop is about to run are in one as well. So nothing was woken if no deque has changed but the
loop's, and that one by no more than its sleepers make of it. A sleeper only reports if its code, and the functions of
its module that it calls, wake nobody, and it has nothing in hand whose code is not known. CPython 3.11 to 3.13.
"""

import struct
import time
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from diagnostics.collector.memory import search
from diagnostics.collector.memory.asyncio_tasks import LARGEST, LAYOUTS, MOST, STACK, Task, tasks_of, types_named
from diagnostics.collector.memory.process import Memory, Unreadable
from diagnostics.collector.memory.python_code import Code

_DEQUE = b"collections.deque\0"
_SIZE, _LEFT, _STATE = 16, 40, 56
_BLOCK = 64
_MOST = 2000
_OFTEN = 2.0
_ROUNDS = 3
_RAN = 0.3
"""Seconds after which one that was read while it ran is read again."""
_AGAIN = 3
_A_WAKE = 4
"""Changes that the end of a sleep makes: its timer's callback and its task's come, and go."""
_DELAY, _TIMER = 0, 4
"""Among the variables of asyncio.sleep."""
_WAITS = ("asyncio/locks.py", "asyncio/queues.py")
_FOR_TASKS = ("_asyncio.Task", "_GatheringFuture")
_FUTURES = ("_asyncio.Future",)
_GROUPS = "asyncio/taskgroups.py"
_WAKES = frozenset(
    (
        "put", "put_nowait", "get_nowait", "task_done", "set", "notify", "notify_all", "release", "set_result",
        "set_exception", "cancel", "call_soon", "call_soon_threadsafe", "create_task", "ensure_future", "send",
        "feed_data", "run_in_executor", "to_thread", "run", "submit", "abort",
    )
)  # fmt: skip
"""What a task calls that may wake another."""
_PLAIN = (
    b"str", b"int", b"float", b"bool", b"NoneType", b"module", b"type", b"builtin_function_or_method", b"list",
    b"dict", b"tuple", b"set", b"bytes", b"coroutine", b"Logger", b"RootLogger", b"_io.TextIOWrapper",
    b"itertools.count", b"range_iterator", b"datetime.datetime", b"datetime.timedelta",
)  # fmt: skip
"""What a task may have in hand or name that wakes nobody."""
_GLOBALS = {11: 8, 12: 24, 13: 24}
"""Of a frame: where the names of its module are."""
_CODE_OF_FUNCTION, _GLOBALS_OF_FUNCTION = 48, 16
_DEEPEST = 5


class Watched(NamedTuple):
    """As `diagnostics.model.TasksWatched`."""

    seconds: float
    stand: bool
    sleeper: str
    futures: bool = False


Tells = Callable[[Sequence[Dict[str, Any]]], bool]
"""Whether source is there of these frames, outermost first, that says of them that they only tell how it goes."""


def _not_known(frames: Sequence[Dict[str, Any]]) -> bool:
    return False


class _Reading(NamedTuple):
    tasks: List[Task]
    deques: Dict[int, Tuple[int, int]]
    """Address -> (state, size)."""
    sleepers: List[Tuple[Task, float]]


def watch(pid: int, seconds: float, until: float, tells: Tells = _not_known) -> Optional[Watched]:
    """None where they cannot be read, or a task may yet wake those that wait. Ends as soon as one is woken."""
    try:
        with Memory(pid) as memory:
            return _watch(memory, seconds, until, tells)
    except (Unreadable, OSError, struct.error):
        return None


def _watch(memory: Memory, seconds: float, until: float, tells: Tells) -> Optional[Watched]:
    code = Code(memory)
    first = _read(memory, code, tells)
    began = time.monotonic()
    if first is None:
        return None
    slowest = max(delay for _, delay in first.sleepers)
    seconds = max(seconds, _ROUNDS * slowest)
    if began + seconds + _OFTEN > until:
        return None
    while time.monotonic() < began + seconds:
        time.sleep(min(_OFTEN, max(began + seconds - time.monotonic(), 0.1)))
        now = dict(_states(memory, first.deques))
        if not _nobody_woke(first, now, time.monotonic() - began):
            return Watched(time.monotonic() - began, False, "")
    passed = time.monotonic() - began
    last = _read(memory, code, tells)
    if last is None or _places(last.tasks) != _places(first.tasks):
        time.sleep(_RAN)
        last = _read(memory, code, tells)
    stands = (
        last is not None
        and _places(last.tasks) == _places(first.tasks)
        and set(last.deques) == set(first.deques)
        and _nobody_woke(first, last.deques, time.monotonic() - began)
    )
    sleeper = "%s, every %g s" % (first.sleepers[0][0].name, slowest) if stands else ""
    futures = any(_awaits_a_future(task) for task in first.tasks if not _sleeps(task))
    return Watched(passed, stands, sleeper, stands and futures)


def _nobody_woke(first: _Reading, now: Dict[int, Tuple[int, int]], passed: float) -> bool:
    changed = [at for at, (state, _) in first.deques.items() if now.get(at, (-1, 0))[0] != state]
    if not changed:
        return True
    rounds = sum(passed / delay + 1 for _, delay in first.sleepers)
    grown = now.get(changed[0], (0, 0))[0] - first.deques[changed[0]][0]
    waiting = sum(size for at, (_, size) in first.deques.items() if at not in changed)
    return len(changed) == 1 and 0 < grown <= _A_WAKE * rounds and waiting >= sum(map(_in_deque, first.tasks))


def _places(tasks: List[Task]) -> List[Tuple[str, Tuple[Tuple[str, int], ...]]]:
    return sorted((task.name, tuple((one["file"], one["line"]) for one in task.frames)) for task in tasks)


def _read(memory: Memory, code: Code, tells: Tells) -> Optional[_Reading]:
    """As `_read_once`: read again where a sleep has ended meanwhile."""
    for _ in range(_AGAIN):
        try:
            return _read_once(memory, code, tells)
        except _Ended:
            continue
    return None


class _Ended(Exception):
    """A task slept when it was read, and then did not, or sleeps again."""


def _read_once(memory: Memory, code: Code, tells: Tells) -> Optional[_Reading]:
    """None where there is a task that something else may wake, or nobody that sleeps, or nobody that waits."""
    runs = search.used(memory)
    if code.minor not in LAYOUTS or search.size_of(runs) > LARGEST:
        return None
    tasks = tasks_of(memory)
    sleeping = [task for task in tasks if _sleeps(task)]
    waiting = [task for task in tasks if not _sleeps(task)]
    inside = all(_waits_inside(task) or _awaits_a_future(task) for task in waiting)
    if len(tasks) >= MOST or not sleeping or not waiting or not inside:
        return None
    delays = [_number(memory, code, memory.word(task.places[-1][1] + 8 * _DELAY)) for task in sleeping]
    timers = _timers_of(memory, sleeping)
    found = _timers(memory, code, runs, timers)
    if timers != _timers_of(memory, sleeping):
        raise _Ended
    if min(delays) <= 0 or len(timers) != len(sleeping) or found != timers:
        return None
    if any(not tells(task.frames) and _may_wake(memory, code, task) for task in sleeping):
        return None
    deques = dict(_states(memory, _deques(memory, code, runs)))
    return _Reading(tasks, deques, list(zip(sleeping, delays))) if 0 < len(deques) <= _MOST else None


def _timers_of(memory: Memory, sleeping: List[Task]) -> Set[int]:
    return {memory.word(task.places[-1][1] + 8 * _TIMER) for task in sleeping}


def _sleeps(task: Task) -> bool:
    inner = task.frames[-1]
    return bool(inner["name"] == "sleep" and inner["file"].endswith("asyncio/tasks.py") and len(task.frames) > 1)


def _in_deque(task: Task) -> bool:
    return bool(task.frames[-1]["file"].endswith(_WAITS))


def _waits_inside(task: Task) -> bool:
    return _in_deque(task) or task.awaits in _FOR_TASKS or task.frames[-1]["file"].endswith(_GROUPS)


def _awaits_a_future(task: Task) -> bool:
    """Whether it waits for what a thread, a pipe or a child is to bring."""
    return not _waits_inside(task) and task.awaits in _FUTURES


def _number(memory: Memory, code: Code, address: int) -> float:
    """Of a float, or of an int of one digit; 0 for anything else."""
    kind = code.type_of(address)
    if kind == b"float":
        (value,) = struct.unpack("<d", memory.read(address + 16, 8))
        return float(value)
    return float(memory.word(address + 24) & 0x3FFFFFFF) if kind == b"int" else 0.0


def _timers(memory: Memory, code: Code, runs: search.Runs, known: Set[int]) -> Set[int]:
    """All timers of the kind that these are: each has a time, and whether it is cancelled and scheduled."""
    kinds = {memory.word(timer + 8) for timer in known if code.type_of(timer) == b"TimerHandle"}
    found = set()
    for place, _ in search.find(memory, runs, kinds):
        fields = [code.type_of(word) for word in memory.words(place + 8, 96)]
        if 0 < memory.word(place - 8) < 1 << 20 and b"float" in fields and fields.count(b"bool") > 1:
            found.add(place - 8)
    return found


def _may_wake(memory: Memory, code: Code, task: Task) -> bool:
    """Whether what it calls may wake others, as far as is known: where that is not known, it may."""
    for frame, (own, place) in zip(task.frames, task.places):
        if "asyncio/" in frame["file"]:
            continue
        (count,) = struct.unpack("<i", memory.read(place - 8, 4).ljust(4, b"\0"))
        kinds = [code.type_of(word) for word in memory.words(place, 8 * min(max(count, 0), 500)) if word]
        names = memory.word(place - STACK + _GLOBALS[code.minor])
        if not all(kind in _PLAIN for kind in kinds) or _calls_waker(memory, code, own, names, 0):
            return True
    return False


def _calls_waker(memory: Memory, code: Code, own: int, module: int, depth: int) -> bool:
    used = set(_names(memory, code, own))
    if depth > _DEEPEST or not used or _WAKES & used:
        return True
    for name, value in _items(memory, code, module):
        kind = code.type_of(value) if name in used else b"NoneType"
        if kind == b"function":
            inner, its = memory.word(value + _CODE_OF_FUNCTION), memory.word(value + _GLOBALS_OF_FUNCTION)
            if its == module and inner != own and _calls_waker(memory, code, inner, its, depth + 1):
                return True
        elif kind not in _PLAIN:
            return True
    return False


def _names(memory: Memory, code: Code, address: int) -> Iterator[str]:
    """Of the attributes and globals that a code object uses (`co_names`)."""
    names = memory.word(address + 32)
    for word in memory.words(names + 24, 8 * min(memory.word(names + 16), 200)):
        yield code.text(word)


def _items(memory: Memory, code: Code, address: int) -> Iterator[Tuple[str, int]]:
    """Of a dict with names as keys. Source: Include/internal/pycore_dict.h."""
    keys = memory.word(address + 32)
    head = memory.read(keys, 32)
    if len(head) < 32:
        return
    indices, form = head[9], head[10]
    (entries,) = struct.unpack("<q", head[24:32])
    width = 16 if form else 24
    place = keys + 32 + (1 << min(indices, 24))
    words = memory.words(place, width * min(max(entries, 0), 4000))
    for at in range(0, len(words) - width // 8 + 1, width // 8):
        key, value = words[at + width // 8 - 2], words[at + width // 8 - 1]
        if value and code.type_of(key) == b"str":
            yield code.text(key), value


def _deques(memory: Memory, code: Code, runs: search.Runs) -> Iterator[int]:
    types = set(types_named(memory, code, runs, _DEQUE))
    for place, _ in search.find(memory, runs, types):
        (left, right) = struct.unpack("<qq", memory.read(place - 8 + _LEFT, 16).ljust(16, b"\1"))
        if 0 < memory.word(place - 8) < 1 << 20 and 0 <= left <= _BLOCK and -1 <= right < _BLOCK:
            yield place - 8


def _states(memory: Memory, addresses: Iterable[int]) -> Iterator[Tuple[int, Tuple[int, int]]]:
    for address in addresses:
        yield address, (memory.word(address + _STATE), memory.word(address + _SIZE))
