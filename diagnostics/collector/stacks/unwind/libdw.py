"""Unwinds copies of threads with elfutils' libdw, by its C interface (libdwfl.h). Touches no process.

libdw asks for memory word by word; it gets the copied stacks, and nothing else.
"""

import bisect
import ctypes
import os
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_bool, c_char_p, c_int, c_uint, c_uint64, c_void_p
from typing import Dict, Iterable, List, NamedTuple, Tuple

from diagnostics.collector.kernel import in_memory
from diagnostics.collector.stacks.unwind.stop import Mapping, Thread, read_memory

MAX_FRAMES = 512
MAX_VDSO = 1 << 16


class Place(NamedTuple):
    """A frame: the file that its code is in, and the address there as the file's symbols count it."""

    path: str
    address: int


class _Callbacks(Structure):
    _fields_ = (
        ("find_elf", c_void_p),
        ("find_debuginfo", c_void_p),
        ("section_address", c_void_p),
        ("debuginfo_path", c_void_p),
    )


_NextThread = CFUNCTYPE(c_int, c_void_p, c_void_p, POINTER(c_void_p))
_GetThread = CFUNCTYPE(c_bool, c_void_p, c_int, c_void_p, POINTER(c_void_p))
_MemoryRead = CFUNCTYPE(c_bool, c_void_p, c_uint64, POINTER(c_uint64), c_void_p)
_SetRegisters = CFUNCTYPE(c_bool, c_void_p, c_void_p)
_OnFrame = CFUNCTYPE(c_int, c_void_p, c_void_p)
_FindDebuginfo = CFUNCTYPE(c_int, c_void_p, c_void_p, c_char_p, c_uint64, c_char_p, c_char_p, c_uint, c_void_p)


class _ThreadCallbacks(Structure):
    _fields_ = (
        ("next_thread", _NextThread),
        ("get_thread", _GetThread),
        ("memory_read", _MemoryRead),
        ("set_initial_registers", _SetRegisters),
        ("detach", c_void_p),
        ("thread_detach", c_void_p),
    )


class Missing(Exception):
    """There is no libdw to load."""


class Library(object):
    """A loaded libdw. `paths` are tried in turn, each with the files that have to be loaded before it."""

    def __init__(self, paths: List[List[str]]) -> None:
        why = "no libdw was found"
        for files in paths:
            try:
                for file in files:
                    self._dw = ctypes.CDLL(file, mode=ctypes.RTLD_GLOBAL)
                self._declare()
                return
            except (OSError, AttributeError) as error:
                why = str(error)
        raise Missing(why)

    def _declare(self) -> None:
        pointer, number = c_void_p, c_int
        for name, result, arguments in (
            ("dwfl_begin", pointer, [pointer]),
            ("dwfl_end", None, [pointer]),
            ("dwfl_errno", number, []),
            ("dwfl_errmsg", c_char_p, [number]),
            ("dwfl_report_begin", None, [pointer]),
            ("dwfl_report_elf", pointer, [pointer, c_char_p, c_char_p, number, c_uint64, c_bool]),
            ("dwfl_report_end", number, [pointer, pointer, pointer]),
            ("dwfl_attach_state", c_bool, [pointer, pointer, number, pointer, pointer]),
            ("dwfl_getthread_frames", number, [pointer, number, _OnFrame, pointer]),
            ("dwfl_thread_state_registers", c_bool, [pointer, number, c_uint, pointer]),
            ("dwfl_thread_tid", number, [pointer]),
            ("dwfl_frame_pc", c_bool, [pointer, POINTER(c_uint64), POINTER(c_bool)]),
            ("dwfl_addrmodule", pointer, [pointer, c_uint64]),
            ("dwfl_module_getelf", pointer, [pointer, POINTER(c_uint64)]),
        ):
            function = getattr(self._dw, name)
            function.restype, function.argtypes = result, arguments

    def open(self, pid: int, mappings: List[Mapping], root: str = "") -> "Unwinding":
        """Makes a process's files known. `root` is put before their paths (another mount namespace)."""
        return Unwinding(self._dw, pid, mappings, root)


class Unwinding(object):
    """A process whose copied threads are unwound. Keeps what C holds pointers to alive. A context manager."""

    def __init__(self, dw: ctypes.CDLL, pid: int, mappings: List[Mapping], root: str) -> None:
        self._dw, self._pid, self._mappings, self._root = dw, pid, mappings, root
        self._current = Thread(0, (), 0, b"")
        self._find_debuginfo = _FindDebuginfo(lambda *_: -1)
        self._callbacks = _Callbacks(None, ctypes.cast(self._find_debuginfo, c_void_p).value, None, None)
        self._thread_callbacks = _ThreadCallbacks(
            _NextThread(lambda *_: 0), _GetThread(lambda *_: True), _MemoryRead(self._read),
            _SetRegisters(self._set_registers), None, None,
        )  # fmt: skip
        self._modules: List[Tuple[int, int, str]] = []
        self._biases: Dict[str, int] = {}

    def __enter__(self) -> "Unwinding":
        self._dwfl = self._dw.dwfl_begin(byref(self._callbacks))
        self._report(self._dwfl)
        if not self._dw.dwfl_attach_state(self._dwfl, None, self._pid, byref(self._thread_callbacks), None):
            why = (self._dw.dwfl_errmsg(self._dw.dwfl_errno()) or b"cannot unwind").decode()
            self._dw.dwfl_end(self._dwfl)
            raise Missing(why)
        return self

    def __exit__(self, *_: object) -> None:
        self._dw.dwfl_end(self._dwfl)

    def unwind(self, threads: Iterable[Thread]) -> Dict[int, List[Place]]:
        """Frames by the threads' ids, innermost first."""
        return {thread.tid: self._frames(thread) for thread in threads if thread.registers}

    def loaded(self, path: str, address: int) -> int:
        """Where an address of a file, as its symbols count, is in the process."""
        return address + self._biases[path]

    def _report(self, dwfl: int) -> None:
        self._dw.dwfl_report_begin(dwfl)
        for path, parts in _files(self._mappings).items():
            base = parts[0].begin - parts[0].offset
            if path == "[vdso]":
                module = self._report_vdso(dwfl, parts[0])
            else:
                real = os.fsencode(self._root + path)
                module = self._dw.dwfl_report_elf(dwfl, os.fsencode(path), real, -1, base, False)
            if module:
                self._biases[path] = self._bias(module)
                self._modules += [(part.begin, part.end, path) for part in parts]
        self._dw.dwfl_report_end(dwfl, None, None)
        self._modules.sort()

    def _report_vdso(self, dwfl: int, part: Mapping) -> int:
        image = read_memory(self._pid, part.begin, min(part.end - part.begin, MAX_VDSO))
        try:
            handle = in_memory("vdso", image) if image else -1
        except OSError:
            handle = -1
        if handle < 0:
            return 0
        # libdw closes the descriptor with the module.
        return int(self._dw.dwfl_report_elf(dwfl, b"[vdso]", b"[vdso]", handle, part.begin, False) or 0)

    def _bias(self, module: int) -> int:
        bias = c_uint64()
        self._dw.dwfl_module_getelf(module, byref(bias))
        return bias.value

    def _frames(self, thread: Thread) -> List[Place]:
        self._current = thread
        places: List[Place] = []

        def on_frame(frame: int, _: object) -> int:
            address, is_exact = c_uint64(), c_bool()
            if not self._dw.dwfl_frame_pc(frame, byref(address), byref(is_exact)):
                return 1
            # The return address may already belong to the next function; the call itself is before it.
            places.append(self._place(address.value - (0 if is_exact.value else 1)))
            return 1 if len(places) >= MAX_FRAMES else 0

        self._dw.dwfl_getthread_frames(self._dwfl, thread.tid, _OnFrame(on_frame), None)
        return places

    def _place(self, address: int) -> Place:
        index = bisect.bisect_right(self._modules, (address, 1 << 64, "")) - 1
        if index >= 0 and self._modules[index][0] <= address < self._modules[index][1]:
            path = self._modules[index][2]
            return Place(path, (address - self._biases[path]) % (1 << 64))
        return Place("", address)

    def _read(self, _: int, address: int, result: "ctypes._Pointer[c_uint64]", __: int) -> bool:
        thread = self._current
        offset = address - thread.stack_at
        if offset < 0 or offset + 8 > len(thread.stack):
            return False
        result[0] = int.from_bytes(thread.stack[offset : offset + 8], "little")
        return True

    def _set_registers(self, handle: int, _: int) -> bool:
        registers = (c_uint64 * 17)(*self._current.registers)
        return bool(self._dw.dwfl_thread_state_registers(handle, 0, 17, registers))


def _files(mappings: List[Mapping]) -> Dict[str, List[Mapping]]:
    """Mapped files that may hold code, each with its parts in order, the first with the file's beginning."""
    found: Dict[str, List[Mapping]] = {}
    for mapping in mappings:
        path = mapping.path
        if path == "[vdso]" or (path.startswith("/") and not path.startswith(("/dev/", "/memfd:", "/SYSV"))):
            if mapping.offset == 0 and path not in found:
                found[path] = []
            if path in found:
                found[path].append(mapping)
    return {path: parts for path, parts in found.items() if len(parts) > 1 or path == "[vdso]"}
