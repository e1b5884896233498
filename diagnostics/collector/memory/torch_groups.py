"""PyTorch's process groups as one process knows them: names, members, and how far each has come.

Two places tell. The registry of groups (`c10d::register_process_group`, PyTorch 2.2 and later) is a map in libtorch's
data from a group's name to the group, which leads to its backend's options and so to its members. The ring's own map
says which collective was enqueued, started and completed last.

The standard library alone, CPython 3.6 and later, so that it can go along to other hosts.
"""

import struct
from typing import Any, Dict, Iterator, List, Optional

from diagnostics.collector.memory.process import NEW, Memory, decoded

MOST_GROUPS = 4096
_GROUP = 320
_BACKEND = 1024
"""Bytes of a group's object in which its backends are looked for, and of a backend's in which its options are."""
_RANK_AND_SIZE = 24
"""Behind a table of functions, two counters of references and the store. Source: ProcessGroup.hpp."""


def is_tree(memory: Memory, place: int, body: bytes) -> bool:
    """Whether the pointer at `place` is the root of a std::map: its parent is the header, 8 bytes before."""
    return struct.unpack_from("<Q", body, 8)[0] == place - 8 and body[:1] in (b"\0", b"\1")


def registered(memory: Memory, header: int, width: int) -> List[Dict[str, Any]]:
    """The groups of the map, if it is the registry of groups; else none."""
    found = []
    for node in memory.tree(header, MOST_GROUPS):
        body = memory.read(node + 32, width + 8)
        name = memory.text(node + 32, body, 0, width) if len(body) == width + 8 else None
        group = _group(memory, name, struct.unpack_from("<Q", body, width)[0], width) if name else None
        if group is None:
            return []
        found.append(group)
    return found


def _group(memory: Memory, name: bytes, address: int, width: int) -> Optional[Dict[str, Any]]:
    body = memory.read(address, 512)
    if not memory.in_heap(address) or len(body) < 128 or not memory.in_library(struct.unpack_from("<Q", body)[0]):
        return None
    rank, size = struct.unpack_from("<2i", body, _RANK_AND_SIZE)
    if not 0 <= rank < size <= 1 << 24:
        return None
    description = decoded(memory.text(address + 40, body, 40, width) or b"")
    ranks = next(_options(memory, body, name, width), [])
    if name == b"0" and not ranks:  # the first group's options name nobody: it is everybody
        ranks = list(range(size))
    return {
        "name": decoded(name),
        "description": description,
        "rank": rank,
        "size": size,
        "ranks": ranks if len(ranks) == size else [],
    }


def _options(memory: Memory, group: bytes, name: bytes, width: int) -> Iterator[List[int]]:
    """Its members, as the options of one of the group's backends tell them.

    The group's maps of backends hold pointers to nodes; these to backends; these to options.
    """
    seen = {0}
    for node in _heap_words(group[:_GROUP]):
        if not memory.in_heap(node):
            continue
        for backend in _heap_words(memory.read(node, 32)):
            if backend in seen or not _has_table(memory, backend):
                continue
            seen.add(backend)
            for candidate in _heap_words(memory.read(backend, _BACKEND)):
                if memory.in_heap(candidate) and _has_table(memory, candidate):
                    told = _told(memory, candidate, name, width)
                    if told is not None:
                        yield told


def _has_table(memory: Memory, address: int) -> bool:
    """Whether an object begins there that has a table of virtual functions."""
    return memory.in_heap(address) and memory.in_library(memory.word(address))


def _told(memory: Memory, address: int, name: bytes, width: int) -> Optional[List[int]]:
    """`Backend::Options`: timeout, backend, group's name, its description (not up to PyTorch 2.10), members."""
    body = memory.read(address, 24 + 3 * width + 24)
    if len(body) < 24 + 3 * width + 24 or not memory.in_library(struct.unpack_from("<Q", body)[0]):
        return None
    backend, own, description = (memory.text(address + at, body, at, width) for at in (24, 24 + width, 24 + 2 * width))
    if own != name or not backend:
        return None
    begin, end = struct.unpack_from("<2Q", body, 24 + (2 if description is None else 3) * width)
    if not 0 <= end - begin <= 8 << 20 or (end - begin) % 8:
        return None
    return [int(rank) for rank in memory.words(begin, end - begin)]


def _heap_words(body: bytes) -> List[int]:
    """The aligned words that may be addresses."""
    words = struct.unpack_from("<%dQ" % (len(body) // 8), body)
    return [word for word in words if word > 1 << 16 and not word & 7]


def status(memory: Memory, counters: int) -> Dict[int, Dict[str, int]]:
    """Number of a group in the ring -> its last collectives. `counters`: where the recorder's counters end."""
    words = memory.words(counters, 160)
    for place in range(len(words)):
        root = words[place]
        if not memory.in_heap(root) or not is_tree(memory, counters + 8 * place, memory.read(root, 32)):
            continue
        found = {}
        for node in memory.tree(counters + 8 * place - 8, MOST_GROUPS):
            key, address = memory.words(node + 32, 16) or (0, 0)
            numbers = memory.read(address, 24)
            if key > MOST_GROUPS or len(numbers) < 24:
                return {}
            last = struct.unpack("<3q", numbers)
            if min(last) < -1 or max(last) > 1 << 48:
                return {}
            found[int(key)] = dict(zip(("enqueued", "started", "completed"), last))
        return found
    return {}


def names_of_width(memory: Memory, place: int) -> int:
    """Bytes of a std::string in the map whose root is at `place`."""
    node = memory.word(place)
    body = memory.read(node + 32, NEW)
    return NEW if memory.text(node + 32, body, 0, NEW) is not None else 8
