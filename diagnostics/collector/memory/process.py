"""Another process's memory, read as what C++ and CPython lay out there. Nothing is stopped, nothing is written.

Strings and maps are those of libstdc++, both forms of its strings: the present one (32 bytes, short texts inside) and
the one before C++11 (a pointer to characters behind their length), which PyTorch's wheels used up to 2.6.

The standard library alone, CPython 3.6 and later, so that it can go along to other hosts.
"""

import array
import bisect
import struct
import time
from typing import Any, Iterator, List, Optional, Tuple

_CHUNK = 64 << 10
LONGEST = 4096
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

    def line(self, address: int, limit: int = 512) -> bytes:
        """Bytes up to the first zero."""
        return self.read(address, limit).split(b"\0", 1)[0]

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
        if not (16 <= room < 1 << 20 and length <= min(room, LONGEST) and self.in_heap(pointer)):
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
        if not (length <= room < 1 << 20 and length <= LONGEST and -1 <= references < 1 << 20):
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
