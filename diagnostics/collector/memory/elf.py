"""Functions of a shared library by the ELF's own tables: where they are, and what their code says (man 5 elf).

CPython 3.6 and later, the standard library alone.
"""

import struct
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional

from diagnostics.collector.memory.process import Unreadable

_SYMBOL = struct.Struct("<IBBHQQ")  # Elf64_Sym: name, info, other, section, value, size
_SECTION = struct.Struct("<IIQQQQIIQQ")  # Elf64_Shdr
_SEGMENT = struct.Struct("<IIQQQQQQ")  # Elf64_Phdr
_UNDEFINED, _LOAD, _SYMTAB, _DYNSYM, _X86_64 = 0, 1, 2, 11, 62
_LARGEST_TABLE = 1 << 30


class Function(NamedTuple):
    """A symbol. `address` is virtual, `offset` is where its first byte is in the file."""

    symbol: str
    address: int
    offset: int
    size: int


class _Section(NamedTuple):
    kind: int
    offset: int
    size: int
    link: int


class _Segment(NamedTuple):
    address: int
    offset: int
    size: int


class Library(object):
    """A shared library on disk. Only its tables and the code that is asked for are read.

    Raises:
        Unreadable: it is no ELF file for this kind of machine, or cannot be read.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._known: Dict[str, Optional[Function]] = {}
        try:
            self._file = open(path, "rb")  # noqa: SIM115
            head = self._file.read(64)
        except OSError as error:
            raise Unreadable("cannot read %s: %s" % (path, error.strerror)) from None
        if head[:4] != b"\x7fELF" or len(head) < 64:
            raise Unreadable("%s is not an ELF library" % path)
        if head[4:6] != b"\2\1" or struct.unpack_from("<H", head, 18)[0] != _X86_64:
            raise Unreadable("%s is not for x86-64" % path)
        programs, sections = struct.unpack_from("<2Q", head, 32)
        count_of_programs, _, count_of_sections = struct.unpack_from("<3H", head, 56)
        self._segments = [
            _Segment(entry[3], entry[2], entry[6])
            for entry in self._entries(_SEGMENT, programs, count_of_programs)
            if entry[0] == _LOAD
        ]
        self._sections = [
            _Section(entry[1], entry[4], entry[5], entry[6])
            for entry in self._entries(_SECTION, sections, count_of_sections)
        ]

    def __enter__(self) -> "Library":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _entries(self, form: struct.Struct, offset: int, count: int) -> Iterable[tuple]:  # type: ignore[type-arg]
        data = self._read(offset, form.size * count)
        return form.iter_unpack(data[: len(data) // form.size * form.size])

    def _read(self, offset: int, size: int) -> bytes:
        try:
            self._file.seek(offset)
            return self._file.read(min(size, _LARGEST_TABLE))
        except (OSError, ValueError, OverflowError):
            return b""

    def find(self, prefixes: Iterable[str]) -> Dict[str, Function]:
        """For each prefix of a mangled name the function that begins with it.

        The full table (.symtab) also holds local functions; where it was stripped the exported ones are left. A walk
        through a table takes a third of a second, whatever is looked for: ask for all at once.
        """
        wanted = list(dict.fromkeys(prefixes))
        for kind in (_SYMTAB, _DYNSYM):
            missing = [prefix for prefix in wanted if prefix not in self._known]
            table = next((section for section in self._sections if section.kind == kind), None)
            if missing and table and table.link < len(self._sections):
                self._known.update(self._search(table, missing))
        for prefix in wanted:
            self._known.setdefault(prefix, None)
        found = ((prefix, self._known[prefix]) for prefix in wanted)
        return {prefix: function for prefix, function in found if function}

    def _search(self, table: _Section, prefixes: List[str]) -> Dict[str, Function]:
        texts = self._sections[table.link]
        names = self._read(texts.offset, texts.size)
        starts = {at: prefix for prefix in prefixes for at in _occurrences(names, prefix.encode())}
        found: Dict[str, Function] = {}
        data = self._read(table.offset, table.size)
        for name, _, _, home, address, size in _SYMBOL.iter_unpack(data[: len(data) // _SYMBOL.size * _SYMBOL.size]):
            if name in starts and home != _UNDEFINED and address:
                symbol = names[name : names.find(b"\0", name)].decode("utf-8", "replace")
                found.setdefault(starts[name], Function(symbol, address, self._offset(address), size))
        return found

    def _offset(self, address: int) -> int:
        for segment in self._segments:
            if segment.address <= address < segment.address + segment.size:
                return address - segment.address + segment.offset
        return address

    def code(self, function: Function, limit: int = 256) -> bytes:
        """Its first bytes."""
        return self._read(function.offset, min(function.size or limit, limit))


def _occurrences(data: bytes, what: bytes) -> Iterator[int]:
    at = data.find(what)
    while at >= 0:
        yield at
        at = data.find(what, at + 1)
