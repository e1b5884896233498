"""Functions of a shared library by the ELF's own tables: where they are, and what their code says."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from diagnostics.errors import MissingError

_SYMBOL = struct.Struct("<IBBHQQ")  # Elf64_Sym: name, info, other, section, value, size
_UNDEFINED = 0


class Function(NamedTuple):
    """A symbol. `address` is virtual, `offset` is where its first byte is in the file."""

    symbol: str
    address: int
    offset: int
    size: int


class Library:
    """A shared library on disk. Only its tables and the code that is asked for are read.

    Raises:
        MissingError: it is no ELF file for this kind of machine, or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, Function | None] = {}
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise MissingError(f"cannot read {path}: {error.strerror}", "Run as root, or as the job's user") from None
        try:
            self._elf = ELFFile(self._file)
        except ELFError:
            raise MissingError(f"{path} is not an ELF library") from None
        if self._elf.elfclass != 64 or not self._elf.little_endian or self._elf["e_machine"] != "EM_X86_64":
            raise MissingError(f"{path} is not for x86-64", "Arguments are read from registers of x86-64 only")

    def find(self, prefixes: Iterable[str]) -> dict[str, Function]:
        """For each prefix of a mangled name the function that begins with it.

        The full table (.symtab) also holds local functions; where it was stripped the exported ones are left. A walk
        through a table takes a third of a second, whatever is looked for: ask for all at once.
        """
        wanted = dict.fromkeys(prefixes)
        for table in (".symtab", ".dynsym"):
            missing = [prefix for prefix in wanted if prefix not in self._known]
            if missing and (section := self._elf.get_section_by_name(table)):
                self._known |= self._search(section, missing)
        self._known |= dict.fromkeys((prefix for prefix in wanted if prefix not in self._known), None)
        return {prefix: function for prefix in wanted if (function := self._known[prefix])}

    def _search(self, section: Any, prefixes: list[str]) -> dict[str, Function]:
        names: bytes = self._elf.get_section(section["sh_link"]).data()
        starts = {at: prefix for prefix in prefixes for at in _occurrences(names, prefix.encode())}
        found: dict[str, Function] = {}
        for name, _, _, home, address, size in _SYMBOL.iter_unpack(section.data()):
            if name in starts and home != _UNDEFINED and address:
                symbol = names[name : names.index(b"\0", name)].decode()
                found.setdefault(starts[name], Function(symbol, address, self._offset(address), size))
        return found

    def _offset(self, address: int) -> int:
        for segment in self._elf.iter_segments("PT_LOAD"):
            if segment["p_vaddr"] <= address < segment["p_vaddr"] + segment["p_memsz"]:
                return int(address - segment["p_vaddr"] + segment["p_offset"])
        return int(address)

    def code(self, function: Function, limit: int = 256) -> bytes:
        """Its first bytes."""
        self._file.seek(function.offset)
        return self._file.read(min(function.size or limit, limit))


def _occurrences(data: bytes, what: bytes) -> Iterator[int]:
    at = data.find(what)
    while at >= 0:
        yield at
        at = data.find(what, at + 1)


class Layout(NamedTuple):
    """Where things are in objects of one library, as its own code says. Offsets in bytes."""

    status: int  # RpcRecvTensorCall::status_
    options: int  # RpcRecvTensorCall::opts_
    callback: int  # CallOptions::cancel_func_'s manager, 0 in an empty std::function

    def named(self) -> Mapping[str, int]:
        """For the placeholders in a probe set's expressions."""
        return {"status": self.status, "options": self.options, "callback": self.options + self.callback}


ABORT_CALL = "_ZN10tensorflow12_GLOBAL__N_117RpcRecvTensorCall10StartAbortE"
START_CANCEL = "_ZN10tensorflow11CallOptions11StartCancelE"


def layout_of(library: Library) -> Layout | None:
    """Read from `RpcRecvTensorCall::StartAbort`, which updates the status and then cancels, and from what that calls.

    In x86-64 code: `lea status(%rbx),%rdi` with a 32-bit and `lea options(%rbx),%rdi` with an 8-bit distance, then
    `cmpq $0,callback(%rbx)`. None where the functions are not there or were compiled into something else.
    """
    functions = library.find([ABORT_CALL, START_CANCEL])
    if len(functions) < 2:
        return None
    abort, cancel = library.code(functions[ABORT_CALL]), library.code(functions[START_CANCEL])
    far, near = abort.find(b"\x48\x8d\xbb"), abort.rfind(b"\x48\x8d\x7b")
    test = cancel.find(b"\x48\x83\x7b")
    if min(far, near, test) < 0 or near < far or cancel[test + 4] != 0:
        return None
    return Layout(
        status=int.from_bytes(abort[far + 3 : far + 7], "little"), options=abort[near + 3], callback=cancel[test + 3]
    )
