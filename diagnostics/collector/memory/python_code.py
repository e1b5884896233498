"""Python frames by their code objects, as they lie in another process's memory. CPython 3.6 to the newest."""

import re
import struct
from typing import Any, Dict, Iterator, List, Optional, Tuple

from diagnostics.collector.memory.process import LONGEST, Memory

_FRAMES = 64


class Code(object):
    """Python frames by their code objects, whose fields are found by the types that their pointers have."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._types = {}  # type: Dict[int, bytes]
        self.qualified: Dict[int, str] = {}
        """Of the code objects that were read: the name with its class, where the release has it (3.11)."""
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
            code = self.read(pairs[place])
            if code is None:
                return []
            name, path, first, table = code
            last = pairs[place + 1] & 0xFFFFFFFF
            found.append({"name": name, "file": path, "line": line_at(self.minor, table, first, last)})
        return found[::-1]

    def read(self, address: int) -> Optional[Tuple[str, str, int, bytes]]:
        if address not in self._known:
            self._known[address] = self._read_code(address)
        return self._known[address]

    def _read_code(self, address: int) -> Optional[Tuple[str, str, int, bytes]]:
        memory = self._memory
        words = memory.words(address, 192)
        if len(words) < 24 or self.type_name(words[1]) != b"code":
            return None
        texts, table = [], b""
        for word in words[2:]:
            kind = self.type_of(word)
            if kind == b"str":
                texts.append(self.text(word))
            elif kind == b"bytes" and len(texts) >= 2:
                table = self._bytes(word)
                break
            elif texts:
                texts = texts if len(texts) >= 2 else []
        if len(texts) < 2:
            return None
        self.qualified[address] = texts[2] if len(texts) > 2 and self.minor >= 11 else texts[1]
        first_at = 40 if self.minor <= 10 else 72 if self.minor == 11 else 68
        first = struct.unpack("<i", memory.read(address + first_at, 4))[0]
        return texts[1], texts[0], first if 0 < first < 1 << 24 else 0, table

    def type_of(self, address: int) -> bytes:
        if address & 7 or address < 1 << 16:
            return b""
        return self.type_name(self._memory.word(address + 8))

    def type_name(self, address: int) -> bytes:
        if address not in self._types:
            name = b""
            if not address & 7 and address > 1 << 16:
                pointer = self._memory.word(address + 24)
                name = self._memory.read(pointer, 40).split(b"\0", 1)[0] if pointer > 1 << 16 else b""
            self._types[address] = name
        return self._types[address]

    def text(self, address: int) -> str:
        """A str. Kind and form are bits behind the hash (Include/cpython/unicodeobject.h)."""
        (length,) = struct.unpack("<q", self._memory.read(address + 16, 8).ljust(8, b"\0"))
        (state,) = struct.unpack("<I", self._memory.read(address + 32, 4).ljust(4, b"\0"))
        if not 0 <= length <= LONGEST:
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
