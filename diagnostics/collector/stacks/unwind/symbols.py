"""Names of functions by address, from an ELF file's symbol tables (man 5 elf). Sorted once for each build id.

The sorted table of a library is kept in a folder of the user's cache, if one is given: 20 bytes a function. A library
without a build id, as TensorFlow 2 has them, is known by its place on the disk and its times. Names are read from the
library itself, and only those that are asked for. 64-bit little-endian files only.
"""

import bisect
import ctypes
import mmap
import os
import struct
from array import array
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

_MAGIC = b"lbsyms1\n"
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMTAB, _STRTAB, _DYNSYM, _NOTE, _NOBITS = 2, 3, 11, 7, 8
_FUNCTIONS = (2, 10)  # STT_FUNC, STT_GNU_IFUNC
_NAME_LIMIT = 8192
MAX_SYMBOLS = 20000000
DEBUG_FILE = "/usr/lib/debug/.build-id/%s/%s.debug"
"""Where distributions put the symbols that they strip from a library."""


class Table(NamedTuple):
    """Functions in the order of their addresses. `names` are offsets into the file."""

    starts: "memoryview[int]"
    sizes: "memoryview[int]"
    names: "memoryview[int]"


class _Section(NamedTuple):
    kind: int
    offset: int
    size: int
    link: int


class NotElf(Exception):
    """It is not a 64-bit little-endian ELF file, or a damaged one."""


class Symbols(object):
    """Function names of many files. `cache` is a folder for sorted tables, "" for none."""

    def __init__(self, cache: str = "") -> None:
        self._cache = cache
        self._files: Dict[Tuple[int, int, int, int], Optional[File]] = {}

    def name(self, path: str, address: int) -> str:
        """The function that has this address in the file, as the linker knows it; "" where none does."""
        try:
            status = os.stat(path)
        except OSError:
            return ""
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if key not in self._files:
            self._files[key] = self._open(path)
        file = self._files[key]
        return file.name(address) if file else ""

    def begin(self, path: str, address: int) -> int:
        """Where the function that has this address begins in the file, -1 where none has it."""
        if not self.name(path, address):
            return -1
        status = os.stat(path)
        file = self._files[(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)]
        return file.begin(address) if file else -1

    def _open(self, path: str) -> "Optional[File]":
        try:
            file = File(path, self._cache)
        except (OSError, NotElf, ValueError, struct.error):
            return None
        if file.is_stripped and file.build_id:
            try:
                return File(DEBUG_FILE % (file.build_id[:2], file.build_id[2:]))
            except (OSError, NotElf, ValueError, struct.error):
                pass
        return file


class File(object):
    """One ELF file, mapped."""

    def __init__(self, path: str, cache: str = "") -> None:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            self._data = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        if self._data[:6] != b"\x7fELF\x02\x01":
            raise NotElf(path)
        self._sections = _sections(self._data)
        self.build_id = _build_id(self._data, self._sections)
        place = "%x-%x-%x-%x" % (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        self._table = self._load(cache, self.build_id or place)

    @property
    def is_stripped(self) -> bool:
        return not any(section.kind == _SYMTAB for section in self._sections)

    def name(self, address: int) -> str:
        """ "" where no function has this address."""
        index = self._index(address)
        if index < 0:
            return ""
        begin = self._table.names[index]
        end = self._data.find(b"\0", begin, begin + _NAME_LIMIT)
        return self._data[begin : end if end >= 0 else begin + _NAME_LIMIT].decode("utf-8", "replace")

    def begin(self, address: int) -> int:
        """-1 where no function has this address."""
        index = self._index(address)
        return self._table.starts[index] if index >= 0 else -1

    def _index(self, address: int) -> int:
        table = self._table
        index = bisect.bisect_right(table.starts, address) - 1
        # Assembly has functions without a size; they reach to the next one.
        while index >= 0 and table.sizes[index] and address >= table.starts[index] + table.sizes[index]:
            index -= 1
            if index < 0 or address - table.starts[index] > (1 << 24):
                return -1
        return index

    def _load(self, cache: str, key: str) -> Table:
        kept = os.path.join(cache, key + ".syms") if cache else ""
        table = _read_kept(kept, len(self._data)) if kept else None
        if table:
            return table
        table = _sorted_table(self._data, self._sections)
        if kept:
            _keep(kept, table, len(self._data))
        return table


def _sections(data: mmap.mmap) -> List[_Section]:
    (offset,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    if size != _SECTION.size or offset + size * count > len(data):
        raise NotElf("no sections")
    found = []
    for index in range(count):
        fields = _SECTION.unpack_from(data, offset + index * size)
        kind, begin, length, link = fields[1], fields[4], fields[5], fields[6]
        if kind != _NOBITS and begin + length > len(data):
            raise NotElf("a section lies outside of the file")
        found.append(_Section(kind, begin, length, link))
    return found


def _build_id(data: mmap.mmap, sections: List[_Section]) -> str:
    for section in sections:
        at, end = section.offset, section.offset + section.size
        while section.kind == _NOTE and at + 12 <= end:
            name_size, size, kind = struct.unpack_from("<III", data, at)
            description = at + 12 + (name_size + 3 & ~3)
            if kind == 3 and data[at + 12 : at + 12 + name_size] == b"GNU\0" and size <= 64:
                return data[description : description + size].hex()
            at = description + (size + 3 & ~3)
    return ""


def _sorted_table(data: mmap.mmap, sections: List[_Section]) -> Table:
    # Whatever both tables have is in the larger one; the dynamic one alone is what a stripped library keeps.
    wanted = [s for s in sections if s.kind == _SYMTAB] or [s for s in sections if s.kind == _DYNSYM]
    if not wanted:
        return Table(*(memoryview(array(kind)) for kind in "QQI"))
    section = wanted[0]
    if section.link >= len(sections) or section.size // 24 > MAX_SYMBOLS:
        raise NotElf("no names")
    strings = sections[section.link].offset
    words = memoryview(data[section.offset : section.offset + section.size // 24 * 24]).cast("Q")
    heads, values, sizes = (words[column::3].tolist() for column in range(3))
    # A head is: name 32 bits, info 8 (of which the kind 4), other 8, section 16; an undefined symbol is in section 0.
    # TensorFlow has more than a million of these, so nothing here is done twice.
    functions = [
        index
        for index, (head, value) in enumerate(zip(heads, values))
        if value and head >> 32 & 15 in _FUNCTIONS and head >> 48
    ]
    functions.sort(key=values.__getitem__)
    return Table(
        memoryview(array("Q", [values[index] for index in functions])),
        memoryview(array("Q", [sizes[index] for index in functions])),
        memoryview(array("I", [strings + (heads[index] & 0xFFFFFFFF) for index in functions])),
    )


def _keep(path: str, table: Table, size: int) -> None:
    """Best effort: a cache that cannot be written is no cache."""
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        import tempfile  # it takes a while, and what is kept already needs none

        handle, part = tempfile.mkstemp(dir=os.path.dirname(path))
        with os.fdopen(handle, "wb") as file:
            file.write(_MAGIC + struct.pack("<QQ", len(table.starts), size))
            for column in table:
                file.write(column)
        os.replace(part, path)
    except OSError:
        pass


def _read_kept(path: str, size: int) -> Optional[Table]:
    try:
        with open(path, "rb") as file:
            data = memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
    except (OSError, ValueError):
        return None
    head = len(_MAGIC) + 16
    if bytes(data[: len(_MAGIC)]) != _MAGIC or len(data) < head:
        return None
    count, of_size = struct.unpack_from("<QQ", data, len(_MAGIC))
    if of_size != size or len(data) != head + count * 20:
        return None
    return Table(
        data[head : head + 8 * count].cast("Q"),
        data[head + 8 * count : head + 16 * count].cast("Q"),
        data[head + 16 * count :].cast("I"),
    )


class Demangler(object):
    """C++ names as people write them, by the C++ runtime's own `__cxa_demangle`; as they are where there is none."""

    def __init__(self) -> None:
        self._demangle: Any = None
        self._free = ctypes.CDLL(None).free
        self._free.argtypes = [ctypes.c_void_p]
        self._known: Dict[str, str] = {}
        for name in ("libstdc++.so.6", "libc++abi.so.1"):
            try:
                self._demangle = getattr(ctypes.CDLL(name), "__cxa_demangle")
            except (OSError, AttributeError):
                continue
            self._demangle.restype = ctypes.c_void_p
            self._demangle.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int)]
            return

    def __call__(self, symbol: str) -> str:
        if not symbol.startswith("_Z") or self._demangle is None:
            return symbol
        if symbol not in self._known:
            self._known[symbol] = self._ask(symbol)
        return self._known[symbol]

    def _ask(self, symbol: str) -> str:
        status = ctypes.c_int()
        address = self._demangle(symbol.encode(), None, None, ctypes.byref(status))
        if not address:
            return symbol
        try:
            return str(ctypes.string_at(address).decode("utf-8", "replace"))
        finally:
            self._free(address)
