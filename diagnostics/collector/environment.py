"""The environment of another process as it is in memory now, with what the program itself has set since its start.

/proc/PID/environ is what the process was started with. `setenv` (and so Python's `os.environ[...] = ...`) moves the
list elsewhere and hangs it into the C library's variable `environ`. That is found through the dynamic symbol table as
the loader mapped it (System V gABI chapter 5; the hash section is GNU's), by reading memory alone: no file is opened
that could be on a dead mount, and the process is not stopped.
"""

import os
import re
import struct
from contextlib import suppress
from typing import Callable, Container, Dict, List

from diagnostics.collector.kernel import text_of

Read = Callable[[int, int], bytes]  # address and size; fewer bytes at the end of what is mapped

MAX_VARIABLES = 8192
MAX_TEXT = 128 * 1024  # MAX_ARG_STRLEN of the kernel
MAX_ALL = 4 << 20
_NAMES = (b"environ", b"__environ")
_MAPPED = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) ([0-9a-f]+) \S+ (\d+)\s+(/.*)$")
_C_LIBRARY = re.compile(r"/(?:libc\.so|libc-[\d.]+\.so|ld-musl-|libc\.musl-)")
_PAGE = 4096
_PT_LOAD, _PT_DYNAMIC, _DT_STRTAB, _DT_SYMTAB, _DT_GNU_HASH, _ET_EXEC = 1, 2, 5, 6, 0x6FFFFEF5, 2


def environ_of(pid: int, names: Container[str]) -> Dict[str, str]:
    """These variables: as they were at the start, overridden by what memory has now where that may be read."""
    pairs = text_of("/proc/%d/environ" % pid, 4 << 20).split("\0")
    # Another machine's format, gone, or not ours to read: what it was started with stands.
    with suppress(OSError, ValueError, struct.error):
        pairs += environ_in_memory(pid)
    found = (pair.partition("=") for pair in pairs)
    return {name: value for name, sign, value in found if sign and name in names}


def environ_in_memory(pid: int) -> List[str]:
    """`NAME=value`, one a variable.

    Raises:
        OSError: its memory may not be read.
        ValueError: no C library with a variable `environ` was found.
    """
    with open("/proc/%d/mem" % pid, "rb", buffering=0) as memory:

        def read(address: int, size: int) -> bytes:
            # A pointer may be anything where memory changes while it is read; the kernel takes a signed offset.
            data = os.pread(memory.fileno(), size, address) if address < 1 << 63 else b""
            if not data:
                raise OSError("the process has ended meanwhile: its memory is empty")
            return data

        for start in _images(pid):
            address = _symbol(read, start)
            if address:
                array = _word(read, address)
                return _strings(read, array) if array else []
    raise ValueError("no variable environ")


_FROM_ITS_BEGINNING = " 00000000 "


def _images(pid: int) -> List[int]:
    """Where the program and the C library begin. A program that refers to `environ` has the one copy of it."""
    program, libraries = [], []  # type: List[int], List[int]
    for line in text_of("/proc/%d/maps" % pid, 16 << 20).splitlines():
        match = _MAPPED.match(line) if _FROM_ITS_BEGINNING in line else None
        if match and int(match.group(4), 16) == 0:
            start, path = int(match.group(1), 16), match.group(6)
            if _C_LIBRARY.search(path):
                libraries.append(start)
            elif not program:
                program.append(start)
    return program + libraries


def _word(read: Read, address: int) -> int:
    return int.from_bytes(read(address, 8), "little")


def _symbol(read: Read, start: int) -> int:
    """Address of the variable in the ELF image that begins here, 0 where it defines none."""
    header = read(start, 64)
    if header[:6] != b"\x7fELF\x02\x01":
        return 0
    kind, offset, count = struct.unpack_from("<16xH14xQ16xH", header)
    programs = [struct.unpack("<IIQQQQQQ", read(start + offset + 56 * n, 56)) for n in range(min(count, 64))]
    loads = [entry for entry in programs if entry[0] == _PT_LOAD]
    dynamic = [entry for entry in programs if entry[0] == _PT_DYNAMIC]
    if not loads or not dynamic:
        return 0
    base = 0 if kind == _ET_EXEC else start - loads[0][3] // _PAGE * _PAGE
    tags = _dynamic(read, base + dynamic[0][3], min(dynamic[0][6], 1 << 16))
    places = [tags.get(tag, 0) for tag in (_DT_GNU_HASH, _DT_SYMTAB, _DT_STRTAB)]
    if not all(places):
        return 0
    # glibc writes addresses over the offsets when it loads a library, musl leaves them.
    hashes, symbols, texts = (place if place >= base else place + base for place in places)
    for name in _NAMES:
        value = _look_up(read, name, hashes, symbols, texts)
        if value:
            return base + value
    return 0


def _dynamic(read: Read, address: int, size: int) -> Dict[int, int]:
    words = struct.unpack("<%dQ" % (size // 16 * 2), read(address, size // 16 * 16))
    return dict(zip(reversed(words[::2]), reversed(words[1::2])))


def _look_up(read: Read, name: bytes, hashes: int, symbols: int, texts: int) -> int:
    wanted = 5381
    for letter in name:
        wanted = (wanted * 33 + letter) & 0xFFFFFFFF
    buckets, first, bloom = struct.unpack("<III", read(hashes, 12))
    if not buckets:
        return 0
    table = hashes + 16 + 8 * bloom
    number = struct.unpack("<I", read(table + 4 * (wanted % buckets), 4))[0]
    chain = table + 4 * buckets
    for index in range(number, number + 4096 if number >= first else 0):
        hashed = struct.unpack("<I", read(chain + 4 * (index - first), 4))[0]
        if hashed | 1 == wanted | 1:
            text, _, _, section, value, _ = struct.unpack("<IBBHQQ", read(symbols + 24 * index, 24))
            if section and read(texts + text, len(name) + 1) == name + b"\0":
                return int(value)
        if hashed & 1:
            break
    return 0


def _strings(read: Read, array: int) -> List[str]:
    """What an array of pointers points to, up to its null. It may change while it is read."""
    found = []  # type: List[str]
    left = MAX_ALL
    pages = {}  # type: Dict[int, bytes]

    def paged(address: int, size: int) -> bytes:
        # Texts lie next to each other.
        page = address - address % _PAGE
        if page not in pages:
            pages[page] = read(page, _PAGE)
        return pages[page][address - page : address - page + size]

    while len(found) < MAX_VARIABLES:
        page = read(array, _PAGE - array % _PAGE)
        for (pointer,) in struct.iter_unpack("<Q", page[: len(page) // 8 * 8]):
            if not pointer or left <= 0:
                return found
            found.append(_string(paged, pointer))
            left -= len(found[-1]) + 1
        array += len(page)
    return found


def _string(read: Read, pointer: int) -> str:
    text = b""
    with suppress(OSError):
        while b"\0" not in text and len(text) < MAX_TEXT:
            text += read(pointer + len(text), _PAGE - (pointer + len(text)) % _PAGE)
    return text.partition(b"\0")[0].decode("utf-8", "surrogateescape")
