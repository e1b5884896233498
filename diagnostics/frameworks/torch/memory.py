"""Another process's memory, read as what C++ and CPython lay out there. Nothing is stopped, nothing is written.

Strings and maps are those of libstdc++, both forms of its strings: the present one (32 bytes, short texts inside) and
the one before C++11 (a pointer to characters behind their length), which PyTorch's wheels used up to 2.6.

The standard library alone, CPython 3.6 and later, so that it can go along to other hosts.
"""

import array
import bisect
import re
import struct
import time
from typing import Any, Dict, Iterator, List, Optional, Tuple

_CHUNK = 64 << 10
_LONGEST = 4096
_FRAMES = 64
NEW, OLD = 32, 8
"""Bytes of a std::string in an object: of C++11, and of before."""


class Unreadable(Exception):
    """Its memory may not be read, with the reason."""


class Memory(object):
    """Raises: Unreadable: it may not be read, or the process is gone."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        try:
            self._file = open("/proc/%d/mem" % pid, "rb", buffering=0)  # noqa: SIM115
            with open("/proc/%d/maps" % pid, "rb") as file:
                self.maps = [self._map(line) for line in file.read(64 << 20).decode("utf-8", "replace").splitlines()]
        except PermissionError:
            raise Unreadable("its memory may not be read: run as root, or as its user with ptrace allowed") from None
        except OSError as error:
            raise Unreadable("its memory cannot be read: %s" % error.strerror) from None
        heap = sorted((start, end) for start, end, rights, path in self.maps if rights[:2] == "rw" and _is_heap(path))
        self._starts = [start for start, _ in heap]
        self._ends = [end for _, end in heap]
        library = sorted((start, end) for start, end, _, path in self.maps if ".so" in path.rpartition("/")[2])
        self._library_starts = [start for start, _ in library]
        self._library_ends = [end for _, end in library]

    def __enter__(self) -> "Memory":
        return self

    def __exit__(self, *_: Any) -> None:
        self._file.close()

    @staticmethod
    def _map(line: str) -> Tuple[int, int, str, str]:
        fields = line.split(None, 5)
        start, _, end = fields[0].partition("-")
        return int(start, 16), int(end, 16), fields[1], fields[5] if len(fields) > 5 else ""

    def libraries(self, names: Tuple[str, ...]) -> List[str]:
        """The paths of these libraries that it has mapped."""
        return sorted({path for _, _, _, path in self.maps if path.rpartition("/")[2] in names})

    def data_of(self, names: Tuple[str, ...]) -> Iterator[Tuple[int, int]]:
        """The writable data of these libraries, and the anonymous pages right behind, which belong to it."""
        before = 0
        for start, end, rights, path in self.maps:
            mine = path.rpartition("/")[2] in names
            if rights[:2] == "rw" and (mine or (not path and start == before)):
                yield start, end
            before = end if mine or (start == before and not path) else 0

    def in_heap(self, address: int) -> bool:
        place = bisect.bisect_right(self._starts, address) - 1
        return place >= 0 and address < self._ends[place]

    def in_library(self, address: int) -> bool:
        """Whether it is among what a library brought along: its code, constants or tables."""
        place = bisect.bisect_right(self._library_starts, address) - 1
        return place >= 0 and address < self._library_ends[place]

    def heap(self) -> Iterator[Tuple[int, int]]:
        return zip(self._starts, self._ends)

    def read(self, address: int, size: int) -> bytes:
        """Up to `size` bytes, none where nothing is mapped."""
        try:
            self._file.seek(address)
            return self._file.read(size) or b""
        except (OSError, ValueError, OverflowError):
            return b""

    def words(self, address: int, size: int) -> "array.array[int]":
        data = self.read(address, size)
        found = array.array("Q")
        found.frombytes(data[: len(data) // 8 * 8])
        return found

    def word(self, address: int) -> int:
        data = self.read(address, 8)
        return struct.unpack("<Q", data)[0] if len(data) == 8 else 0

    def many(self, addresses: List[int], size: int, deadline: float) -> Iterator[Tuple[int, bytes]]:
        """(address, bytes) of sorted addresses. Those that are near each other are read at once."""
        start, data = 0, b""
        for address in addresses:
            if address + size > start + len(data):
                if time.monotonic() > deadline:
                    return
                start, data = address, self.read(address, _CHUNK)
            body = data[address - start : address - start + size]
            if len(body) == size:
                yield address, body

    def string(self, address: int, data: bytes, at: int) -> Optional[bytes]:
        """The std::string that lies there, its own bytes given in `data` from `at`; None where none can be."""
        if at + 32 > len(data):
            return None
        pointer, length = struct.unpack_from("<QQ", data, at)
        if pointer == address + 16:
            return data[at + 16 : at + 16 + length] if length < 16 and not data[at + 16 + length] else None
        room = struct.unpack_from("<Q", data, at + 16)[0]
        if not (16 <= room < 1 << 20 and length <= min(room, _LONGEST) and self.in_heap(pointer)):
            return None
        text = self.read(pointer, length + 1)
        return text[:-1] if len(text) == length + 1 and not text[-1] and b"\0" not in text[:-1] else None

    def old_string(self, data: bytes, at: int) -> Optional[bytes]:
        """The std::string of before C++11 whose pointer lies there: length, room and references are before the text."""
        pointer = struct.unpack_from("<Q", data, at)[0]
        if pointer & 7 or pointer < 1 << 16:
            return None
        head = self.read(pointer - 24, 24)
        if len(head) < 24:
            return None
        length, room, references = struct.unpack("<QQi4x", head)
        if not (length <= room < 1 << 20 and length <= _LONGEST and -1 <= references < 1 << 20):
            return None
        text = self.read(pointer, length + 1)
        return text[:-1] if len(text) == length + 1 and not text[-1] and b"\0" not in text[:-1] else None

    def text(self, address: int, data: bytes, at: int, width: int) -> Optional[bytes]:
        """The string of that width at `address`, whose own bytes are in `data` from `at`; None where none can be."""
        if at + width > len(data):
            return None
        return self.string(address, data, at) if width == NEW else self.old_string(data, at)

    def tree(self, header: int, most: int) -> Iterator[int]:
        """The nodes of a std::map in no order, from its header (colour, parent, left, right)."""
        waiting, seen = [self.word(header + 8)], {header, 0}
        while waiting and len(seen) < most:
            node = waiting.pop()
            if node in seen:
                continue
            seen.add(node)
            links = self.words(node, 32)
            if len(links) == 4:
                yield node
                waiting += [links[2], links[3]]


def _is_heap(path: str) -> bool:
    return not path or path.startswith(("[heap]", "[anon"))


def decoded(text: bytes) -> str:
    return text.decode("utf-8", "replace")[:200]


class Code(object):
    """Python frames by their code objects, whose fields are found by the types that their pointers have."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._types = {}  # type: Dict[int, bytes]
        self._known = {}  # type: Dict[int, Optional[Tuple[str, str, int, bytes]]]
        self.minor = _minor(memory)

    def frames(self, traceback: int) -> List[Dict[str, Any]]:
        """Of a captured traceback, outermost first: name, file, line. Empty where they cannot be read.

        Source: `CapturedTraceback` of PyTorch: a table of functions, then a vector of (code object, last instruction).
        """
        if not traceback or not self.minor:
            return []
        head = self._memory.words(traceback + 8, 16)
        if len(head) < 2 or not 0 < head[1] - head[0] <= 16 * 1024 or (head[1] - head[0]) % 16:
            return []
        pairs = self._memory.words(head[0], min(head[1] - head[0], 16 * _FRAMES))
        found = []
        for place in range(0, len(pairs) - 1, 2):
            code = self._code(pairs[place])
            if code is None:
                return []
            name, path, first, table = code
            last = pairs[place + 1] & 0xFFFFFFFF
            found.append({"name": name, "file": path, "line": line_at(self.minor, table, first, last)})
        return found[::-1]

    def _code(self, address: int) -> Optional[Tuple[str, str, int, bytes]]:
        if address not in self._known:
            self._known[address] = self._read_code(address)
        return self._known[address]

    def _read_code(self, address: int) -> Optional[Tuple[str, str, int, bytes]]:
        memory = self._memory
        words = memory.words(address, 192)
        if len(words) < 24 or self._type_name(words[1]) != b"code":
            return None
        texts, table = [], b""
        for word in words[2:]:
            kind = self._type_of(word)
            if kind == b"str":
                texts.append(self._text(word))
            elif kind == b"bytes" and len(texts) >= 2:
                table = self._bytes(word)
                break
            elif texts:
                texts = texts if len(texts) >= 2 else []
        if len(texts) < 2:
            return None
        first_at = 40 if self.minor <= 10 else 72 if self.minor == 11 else 68
        first = struct.unpack("<i", memory.read(address + first_at, 4))[0]
        return texts[1], texts[0], first if 0 < first < 1 << 24 else 0, table

    def _type_of(self, address: int) -> bytes:
        if address & 7 or address < 1 << 16:
            return b""
        return self._type_name(self._memory.word(address + 8))

    def _type_name(self, address: int) -> bytes:
        if address not in self._types:
            name = b""
            if not address & 7 and address > 1 << 16:
                pointer = self._memory.word(address + 24)
                name = self._memory.read(pointer, 16).split(b"\0", 1)[0] if pointer > 1 << 16 else b""
            self._types[address] = name
        return self._types[address]

    def _text(self, address: int) -> str:
        """A str. Kind and form are bits behind the hash (Include/cpython/unicodeobject.h)."""
        (length,) = struct.unpack("<q", self._memory.read(address + 16, 8).ljust(8, b"\0"))
        (state,) = struct.unpack("<I", self._memory.read(address + 32, 4).ljust(4, b"\0"))
        if not 0 <= length <= _LONGEST:
            return ""
        shift = 2 if self.minor <= 13 else 16
        kind, ascii_ = state >> shift & 7, state >> (shift + 4) & 1
        head = 48 if self.minor < 12 else 40
        if not ascii_:
            head += 24 if self.minor < 12 else 16
        raw = self._memory.read(address + head, length * (1 if ascii_ else kind))
        coding = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}.get(1 if ascii_ else kind, "latin-1")
        return raw.decode(coding, "replace")

    def _bytes(self, address: int) -> bytes:
        length = self._memory.word(address + 16)
        return self._memory.read(address + 32, length) if length <= 1 << 20 else b""


def _minor(memory: Memory) -> int:
    """Of Python 3.x, by the paths it has mapped; 0: not known."""
    for _, _, _, path in memory.maps:
        match = re.search(r"/(?:lib)?python3\.(\d+)", path)
        if match:
            return int(match.group(1))
    return 0


def line_at(minor: int, table: bytes, first: int, last: int) -> int:
    """The line of the instruction at `last` (bytes) by the code's table; the function's own where that tells none."""
    if not table or last >= 1 << 31:
        return first
    ranges = _locations(table) if minor >= 11 else _linetable(table) if minor == 10 else _lnotab(table)
    line = first
    for start, end, delta in ranges:
        line += delta or 0
        if start <= last < end:
            return line if delta is not None else first
    return line if minor < 10 else first


def _lnotab(table: bytes) -> Iterator[Tuple[int, int, Optional[int]]]:
    """Up to 3.9 (Objects/lnotab_notes.txt): pairs of byte and line increments."""
    at, waiting = 0, 0
    for place in range(0, len(table) - 1, 2):
        step, delta = table[place], table[place + 1]
        if step:
            yield at, at + step, waiting
            at, waiting = at + step, 0
        waiting += delta - 256 if delta >= 128 else delta
    yield at, 1 << 31, waiting


def _linetable(table: bytes) -> Iterator[Tuple[int, int, Optional[int]]]:
    """3.10 (PEP 626)."""
    at = 0
    for place in range(0, len(table) - 1, 2):
        step, delta = table[place], table[place + 1]
        delta = delta - 256 if delta >= 128 else delta
        yield at, at + step, None if delta == -128 else delta
        at += step


def _locations(table: bytes) -> Iterator[Tuple[int, int, Optional[int]]]:
    """3.11 and later (Objects/locations.md): one entry a run of instructions, each beginning with its high bit set."""
    at, place = 0, 0
    while place < len(table):
        head = table[place]
        kind, units = head >> 3 & 15, (head & 7) + 1
        place += 1
        delta = 0  # type: Optional[int]
        if kind in (13, 14):
            value, place = _varint(table, place)
            delta = -(value >> 1) if value & 1 else value >> 1
        elif kind in (10, 11, 12):
            delta = kind - 10
        elif kind == 15:
            delta = None
        while place < len(table) and not table[place] & 128:
            place += 1
        yield at, at + 2 * units, delta
        at += 2 * units


def _varint(table: bytes, place: int) -> Tuple[int, int]:
    value, shift = 0, 0
    while place < len(table):
        byte = table[place]
        value |= (byte & 63) << shift
        place, shift = place + 1, shift + 6
        if not byte & 64:
            break
    return value, place
