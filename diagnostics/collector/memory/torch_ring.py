"""PyTorch's ring of collectives (Flight Recorder), read out of a process that was never prepared for it.

Every process with a process group keeps its newest collectives in memory: group, numbers, operation, sizes, state, when
it was called, and the Python frames of the call. Nothing in the process is asked: its memory is read (man 5 proc, the
rights of ptrace), and it is never stopped. What is read is read twice, and what differs is left out.

The recorder is found by what must be true of it, not by a release's numbers: a pointer among the data of libtorch leads
to two flags, a mutex, a vector and three counters that agree with each other. Inside an entry, places are found by
strings and small vectors that point into themselves. Source: `struct FlightRecorder` of PyTorch's FlightRecorder.hpp
(2.5 and later) and `struct NCCLTraceBuffer` of TraceUtils.h (2.2 to 2.4).

The standard library alone, CPython 3.6 and later, so that it can go along to other hosts.
"""

import re
import struct
import time
from itertools import product
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from diagnostics.collector.memory import torch_groups as registry
from diagnostics.collector.memory.process import NEW, OLD, Memory, Unreadable, decoded
from diagnostics.collector.memory.python_code import Code

LIBRARIES = ("libtorch_cuda.so", "libtorch_cpu.so", "libtorch_hip.so", "libtorch_xpu.so")
MOST_ENTRIES = 20000
MOST_BYTES = 64 << 20
KEPT = 64
"""Collectives kept of each group: the newest. What has not completed before them is kept as well."""
WITH_FRAMES = 4
"""Of each group the newest whose Python frames are read."""
DEADLINE = 6.0
"""Seconds that one process may take. It takes 0.3 s of processor time; where all cores train, that is much more."""

_RECORDER = 96  # flags, mutex (40 bytes), vector, capacity, next, id
_ENTRY_SIZES = (96, 2048)
_CAPACITY = (1, 10000000)
_NANOSECONDS = (1400000000 * 10**9, 4200000000 * 10**9)  # 2014 to 2103


def once(pid: int, budget: float = DEADLINE) -> Dict[str, Any]:
    """What the ring of a process holds, as far as it can be read in `budget` seconds.

    `collectives`: group, description, number, p2p number, operation's name, sizes (input and output), state
    (scheduled, started, completed), created and completed (nanoseconds of wall time; 0: not), timeout (ms), frames.
    `groups`: name, description, ranks, last number enqueued, started, completed (-1: none).
    `why_not`: why there is none, "" where there is one. `seconds`: that it took. `torch`: whether PyTorch is loaded.
    """
    began = time.monotonic()
    found = {"collectives": [], "groups": [], "why_not": "", "torch": False}  # type: Dict[str, Any]
    try:
        with Memory(pid) as memory:
            found["torch"] = bool(memory.libraries(LIBRARIES))
            if found["torch"]:
                _read(memory, found, began + budget)
            else:
                found["why_not"] = "it has no PyTorch loaded"
    except Unreadable as error:
        found["why_not"] = str(error)
    found["seconds"] = round(time.monotonic() - began, 3)
    return found


def _read(memory: Memory, found: Dict[str, Any], deadline: float) -> None:
    recorders, groups = _search(memory, deadline)
    numbers = {}  # type: Dict[str, Dict[str, int]]
    for recorder in recorders:
        read = _entries(memory, recorder)
        if isinstance(read, str):
            found["why_not"] = read
            continue
        collectives = _collectives(memory, read, deadline)
        found["collectives"] += collectives
        status = registry.status(memory, recorder.address + _RECORDER)
        for entry in collectives:
            numbers[entry["group"]] = status.get(entry["group_number"], {})
            groups.setdefault(entry["group"], _unregistered(entry))
    found["groups"] = [dict(_NO_NUMBERS, **dict(group, **numbers.get(name, {}))) for name, group in groups.items()]
    if not recorders:
        found["why_not"] = NO_TIME if time.monotonic() > deadline else NO_RING


NO_TIME = "the time for searching its memory ran out: no ring of collectives was met until then"
NO_RING = (
    "no ring of collectives in its memory: none was called yet, the ring is off (TORCH_FR_BUFFER_SIZE or "
    "TORCH_NCCL_TRACE_BUFFER_SIZE is 0, as by default in older releases), or this release has none for its backend "
    "(gloo records nothing up to 2.7)"
)
_NO_NUMBERS = {"enqueued": -1, "started": -1, "completed": -1}


def _unregistered(entry: Dict[str, Any]) -> Dict[str, Any]:
    return {"name": entry["group"], "description": entry["description"], "rank": -1, "size": -1, "ranks": []}


class Recorder(NamedTuple):
    address: int
    begin: int
    end: int
    capacity: int
    next: int
    id: int

    @property
    def used(self) -> int:
        return min(self.id, self.capacity)


def _search(memory: Memory, deadline: float) -> Tuple[List[Recorder], Dict[str, Dict[str, Any]]]:
    """The recorders and the registered groups that libtorch's data points to, in one pass over its pointers."""
    recorders = {}  # type: Dict[int, Recorder]
    groups = {}  # type: Dict[str, Dict[str, Any]]
    for start, end in memory.data_of(LIBRARIES):
        words = memory.words(start, min(end - start, MOST_BYTES))
        places = {}  # type: Dict[int, int]
        for place, word in enumerate(words):
            if word and not word & 15 and memory.in_heap(word):
                places.setdefault(word, start + 8 * place)  # a map's root may be its leftmost node, too
        for address, body in memory.many(sorted(places), _RECORDER, deadline):
            recorder = _recorder(memory, address, body)
            if recorder:
                recorders[address] = recorder
            elif registry.is_tree(memory, places[address], body):
                width = registry.names_of_width(memory, places[address])
                for group in registry.registered(memory, places[address] - 8, width):
                    groups[group["name"]] = group
    return list(recorders.values()), groups


def _recorder(memory: Memory, address: int, body: bytes) -> Optional[Recorder]:
    if body[0] != 1 or body[1] > 1:
        return None
    begin, end, room, capacity, following, number = struct.unpack_from("<6Q", body, 48)
    if not (_CAPACITY[0] <= capacity <= _CAPACITY[1] and following <= capacity and number and begin < end <= room):
        return None
    count = min(number, capacity)
    size, rest = divmod(end - begin, count)
    if rest or size % 8 or not _ENTRY_SIZES[0] <= size <= _ENTRY_SIZES[1] or not memory.in_heap(begin):
        return None
    return Recorder(address, begin, end, capacity, following, number)


class Read(NamedTuple):
    """The entries that were the same twice, oldest first, and where their fields are."""

    base: int
    size: int
    data: bytes
    places: List[int]  # index of each entry in the vector
    layout: "Layout"


class Layout(NamedTuple):
    """Offsets in an entry; -1: it has no such field."""

    description: int
    group: int
    numbers: int  # of collective, point to point, operation: three words
    name: int
    width: int  # of a string
    traceback: int
    created: int
    timeout: int
    p2p: int
    started: int
    completed: int
    input_dims: int
    output_dims: int
    dim_bytes: int
    sizes: int
    retired: int


def _entries(memory: Memory, recorder: Recorder) -> Any:
    count = recorder.used
    size = (recorder.end - recorder.begin) // count
    kept = min(count, MOST_ENTRIES)
    newest = (recorder.next - 1) % count if recorder.id > recorder.capacity else count - 1
    order = [(newest - back) % count for back in range(kept - 1, -1, -1)]
    first = memory.read(recorder.begin, count * size)
    second = memory.read(recorder.begin, count * size)
    if len(first) < count * size or len(second) < count * size:
        return "the ring could not be read to its end"
    steady = [place for place in order if _same(first, second, place * size, size)]
    layout = layout_of(memory, recorder.begin, size, second, steady)
    return Read(recorder.begin, size, second, steady, layout) if layout else "the ring's entries have an unknown form"


def _same(first: bytes, second: bytes, at: int, size: int) -> bool:
    return first[at : at + size] == second[at : at + size]


def layout_of(memory: Memory, base: int, size: int, data: bytes, places: List[int]) -> Optional[Layout]:
    """Where the fields are, as all of these entries agree on it; None where they do not."""
    sample = places[-8:]
    for width in (NEW, OLD) if sample else ():
        strings = [
            at
            for at in range(0, size - width + 1, 8)
            if all(
                memory.text(base + place * size + at, data, place * size + at, width) is not None for place in sample
            )
        ]
        for pair in (at for at in strings if at >= 16 and at + width in strings):
            name = pair + 2 * width + 24  # behind the three numbers
            if name in strings and _all_names(memory, base, size, data, sample, name, width):
                return _behind(base, size, data, sample, pair, name, width)
    return None


def _all_names(memory: Memory, base: int, size: int, data: bytes, places: List[int], at: int, width: int) -> bool:
    """Whether it is an operation's name everywhere: `gloo:all_reduce`."""
    texts = [memory.text(base + place * size + at, data, place * size + at, width) or b"" for place in places]
    return all(re.match(rb"^[\w.]+:[ -~]+$", text) for text in texts)


def _behind(base: int, size: int, data: bytes, places: List[int], pair: int, name: int, width: int) -> Optional[Layout]:
    """The fields behind the operation's name: shared pointer, two events, then times, then vectors."""

    def word(place: int, at: int) -> int:
        return int(struct.unpack_from("<Q", data, place * size + at)[0])

    after = range(name + width, size - 7, 8)
    created = next((at for at in after if all(_is_time(word(place, at)) for place in places)), -1)
    for gap, step in product((8, 0), (72, 56)) if created > 0 else ():
        # With or without a timeout; dims of 64 or of 32 bits. What lies between is padding, and may look like anything.
        dims = created + 56 + gap
        vectors = (dims, dims + step, dims + 2 * step)
        if all(_is_small_vector(base, size, data, place, at) for place in places for at in vectors):
            return _layout(size, pair, name, width, created, gap, step)
    return None


def _layout(size: int, pair: int, name: int, width: int, created: int, gap: int, step: int) -> Layout:
    dims = created + 56 + gap
    return Layout(
        description=pair,
        group=pair + width,
        numbers=pair + 2 * width,
        name=name,
        width=width,
        traceback=name + width,
        created=created,
        timeout=created + 8 if gap else -1,
        p2p=created + 8 + gap,
        started=dims - 32,
        completed=dims - 16,
        input_dims=dims,
        output_dims=dims + step,
        dim_bytes=8 if step == 72 else 4,
        sizes=dims + 2 * step,
        retired=size - 8,
    )


def _is_time(word: int) -> bool:
    return _NANOSECONDS[0] < word < _NANOSECONDS[1]


def _is_small_vector(base: int, size: int, data: bytes, place: int, at: int) -> bool:
    """c10::SmallVector: a pointer, into itself while it is small, and two 32-bit counters."""
    if at + 32 > size:
        return False
    pointer, count, room = struct.unpack_from("<QII", data, place * size + at)
    own = base + place * size + at + 16
    return bool(count <= room < 1 << 20) and (pointer == own if room in (4, 8) else pointer > 1 << 16 and room > 4)


def _collectives(memory: Memory, read: Read, deadline: float) -> List[Dict[str, Any]]:
    by_group = {}  # type: Dict[Tuple[str, str], List[Dict[str, Any]]]
    for place in read.places:
        entry = _entry(memory, read, place)
        if entry:
            by_group.setdefault((entry["group"], entry["description"]), []).append(entry)
    kept = []  # type: List[Dict[str, Any]]
    code = Code(memory)
    for entries in by_group.values():
        newest = [entry for entry in entries[:-KEPT] if entry["state"] != "completed"][-KEPT:] + entries[-KEPT:]
        for back, entry in enumerate(reversed(newest)):
            traceback = entry.pop("traceback")
            wanted = back < WITH_FRAMES or entry["state"] != "completed"
            entry["frames"] = code.frames(traceback) if wanted and time.monotonic() < deadline else []
        kept += newest
    return sorted(kept, key=lambda entry: entry["record"])


def _entry(memory: Memory, read: Read, place: int) -> Optional[Dict[str, Any]]:
    layout, at = read.layout, place * read.size

    def text(offset: int) -> str:
        raw = memory.text(read.base + at + offset, read.data, at + offset, layout.width)
        return decoded(raw or b"")

    def word(offset: int) -> int:
        return struct.unpack_from("<Q", read.data, at + offset)[0] if offset >= 0 else 0

    def optional(offset: int) -> int:
        return word(offset) if read.data[at + offset + 8] == 1 else 0

    number, p2p, operation = struct.unpack_from("<3Q", read.data, at + layout.numbers)
    name = text(layout.name)
    if not name or max(number, p2p, operation) > 1 << 48:
        return None
    started, completed = optional(layout.started), optional(layout.completed)
    retired = read.data[at + layout.retired] == 1
    return {
        "record": word(0),
        "group": text(layout.group),
        "group_number": word(layout.description - 8),
        "description": text(layout.description),
        "number": number,
        "p2p_number": p2p,
        "p2p": read.data[at + layout.p2p] == 1,
        "name": name,
        "created": word(layout.created),
        "timeout": word(layout.timeout),
        "started": started,
        "completed": completed,
        "retired": retired,
        "state": "completed" if completed else "started" if started else "scheduled",
        "sizes": _sizes(memory, read, at),
        "traceback": word(layout.traceback),
    }


def _sizes(memory: Memory, read: Read, at: int) -> List[List[List[int]]]:
    """Shapes of the inputs and of the outputs, as far as they are kept in the entry."""
    layout = read.layout
    if layout.sizes < 0:
        return [[], []]
    dims = [
        _vector(memory, read, at, layout.input_dims, layout.dim_bytes),
        _vector(memory, read, at, layout.output_dims, layout.dim_bytes),
    ]
    flat = iter(_vector(memory, read, at, layout.sizes, 8))
    shapes = []
    for numbers in dims:
        shapes.append([[next(flat, -1) for _ in range(number)] for number in numbers if 0 <= number < 32])
    return shapes


def _vector(memory: Memory, read: Read, at: int, offset: int, bytes_each: int) -> List[int]:
    pointer, count, _ = struct.unpack_from("<QII", read.data, at + offset)
    count = min(count, 1024)
    own = read.base + at + offset + 16
    if pointer == own:
        raw = read.data[at + offset + 16 : at + offset + 16 + count * bytes_each]
    else:
        raw = memory.read(pointer, count * bytes_each)
    if len(raw) < count * bytes_each:
        return []
    return list(struct.unpack("<%d%s" % (count, "q" if bytes_each == 8 else "i"), raw))
