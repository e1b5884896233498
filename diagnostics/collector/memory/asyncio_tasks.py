"""Suspended tasks of asyncio as they lie in another process's memory: each with the coroutines that it is in.

CPython 3.11 to 3.13. A task is found by its type, whose name CPython keeps as text; its coroutine by the type of what
its words point to. Where a coroutine is suspended stands in its own frame, behind its header: the code object, the last
instruction, and on top of its stack what it awaits. Source: Include/internal/pycore_frame.h, Objects/genobject.c.
"""

import struct
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from diagnostics.collector.memory import search
from diagnostics.collector.memory.process import Memory
from diagnostics.collector.memory.python_code import Code, line_at

LARGEST = 4 << 30
MOST = 200
_DEEPEST = 60
_TYPE_NAME = b"_asyncio.Task\0"
_NAME_IN_TYPE = 24
_LIBRARIES = ("_asyncio", "libpython", "/python3")
_GENERATORS = (b"coroutine", b"generator", b"async_generator")
_WRAPPERS = (b"coroutine_wrapper", b"async_generator_asend", b"async_generator_athrow", b"_asyncio.FutureIter")
"""What stands between one that awaits and what it awaits: that is the first word behind the header."""


class Layout(NamedTuple):
    """Offsets: of the frame in a coroutine, of the code in a frame, of the instructions in a code object."""

    frame: int
    code: int
    instructions: int
    suspended: Any


LAYOUTS = {11: Layout(80, 32, 184, (-1,)), 12: Layout(72, 0, 200, (-1,)), 13: Layout(72, 0, 200, (-1, -2))}
_LAST, _TOP, STACK = 56, 64, 72
"""In a frame: its last instruction, the number of words of its variables and stack, and where these are."""


class Task(NamedTuple):
    """`frames`: outermost first, each with `name`, `file`, `line`. `awaits`: what the innermost awaits, by its type."""

    name: str
    frames: List[Dict[str, Any]]
    awaits: str
    places: Tuple[Tuple[int, int], ...] = ()
    """Of each frame: the address of its code, and of its variables."""


def tasks_of(memory: Memory) -> List[Task]:
    """The tasks that are suspended; none where there are none, or the interpreter's layout is not known."""
    code = Code(memory)
    layout = LAYOUTS.get(code.minor)
    runs = search.used(memory)
    if layout is None or search.size_of(runs) > LARGEST:
        return []
    types = set(types_named(memory, code, runs, _TYPE_NAME))
    found: List[Task] = []
    for place, _ in search.find(memory, runs, types):
        if 0 < memory.word(place - 8) < 1 << 20 and len(found) < MOST:
            task = _task(memory, code, layout, place - 8)
            if task is not None:
                found.append(task)
    return sorted(found, key=lambda task: task.name)


def types_named(memory: Memory, code: Code, runs: search.Runs, name: bytes) -> Iterator[int]:
    """Where the type of this name, which ends with a zero, lies: in a library's data, or among what was allocated."""
    data = [
        (start, end)
        for start, end, rights, path in memory.maps
        if rights.startswith("r") and any(library in path for library in _LIBRARIES)
    ]
    texts = set()
    for start, body in search.chunks(memory, runs + data):
        at = body.find(name)
        while at >= 0:
            texts.add(start + at)
            at = body.find(name, at + 1)
    for place, _ in search.find(memory, runs + data, texts):
        if code.type_name(memory.word(place - _NAME_IN_TYPE + 8)) == b"type":
            yield place - _NAME_IN_TYPE


def _task(memory: Memory, code: Code, layout: Layout, address: int) -> Optional[Task]:
    words = memory.words(address + 16, 240)
    for index, word in enumerate(words):
        if code.type_of(word) in _GENERATORS:
            frames, awaits, places = _chain(memory, code, layout, word)
            after = words[index + 1] if index + 1 < len(words) else 0
            return Task(_name(memory, code, after), frames, awaits, places) if frames else None
    return None


def _name(memory: Memory, code: Code, address: int) -> str:
    """Given, or from 3.12 on a number until somebody asks for it."""
    kind = code.type_of(address)
    if kind == b"int":
        return "Task-%d" % (memory.word(address + 24) & 0x3FFFFFFF)
    return (code.text(address) if kind == b"str" else "") or "a task"


def _chain(memory: Memory, code: Code, layout: Layout, address: int) -> Any:
    """The coroutines from this one to the innermost, and the type of what that one awaits."""
    frames: List[Dict[str, Any]] = []
    places: List[Tuple[int, int]] = []
    kind = b""
    for _ in range(_DEEPEST):
        kind = code.type_of(address)
        if kind in _WRAPPERS:
            address = memory.word(address + 16)
            continue
        if kind not in _GENERATORS:
            break
        frame = address + layout.frame
        (state,) = struct.unpack("<b", memory.read(frame - 5, 1) or b"\1")
        told = code.read(memory.word(frame + layout.code)) if state in layout.suspended else None
        if told is None:
            break
        _, path, first, table = told
        name = code.qualified[memory.word(frame + layout.code)]
        last = memory.word(frame + _LAST) - memory.word(frame + layout.code) - layout.instructions
        places.append((memory.word(frame + layout.code), frame + STACK))
        frames.append({"name": name, "file": path, "line": line_at(code.minor, table, first, max(last, 0))})
        (top,) = struct.unpack("<i", memory.read(frame + _TOP, 4).ljust(4, b"\0"))
        if not 0 < top < 4096:
            break
        address = memory.word(frame + STACK + 8 * (top - 1))
    return frames, kind.decode("utf-8", "replace") if kind not in _GENERATORS else "", tuple(places)
