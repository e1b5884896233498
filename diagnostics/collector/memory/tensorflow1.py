"""Objects of TensorFlow 1 in memory: receives that are open, and the rendezvous of steps.

They are found by their class's table of virtual functions, and need no debug symbols: where a field is, the library's
own code says. CPython 3.6 and later, the standard library alone.
"""

import re
from typing import Iterable, NamedTuple, Optional, Tuple

from diagnostics.collector.memory.elf import Library
from diagnostics.collector.memory.process import Memory

LIBRARY = "_pywrap_tensorflow_internal.so"
CALL_TABLE = "_ZTVN10tensorflow12_GLOBAL__N_117RpcRecvTensorCallE"
RENDEZVOUS_TABLE = "_ZTVN10tensorflow12_GLOBAL__N_119RpcRemoteRendezvousE"
IS_INITIALIZED = "_ZN10tensorflow20BaseRemoteRendezvous14is_initializedE"
ABORT_CALL = "_ZN10tensorflow12_GLOBAL__N_117RpcRecvTensorCall10StartAbortE"
START_CANCEL = "_ZN10tensorflow11CallOptions11StartCancelE"

DONE_BEFORE_STATUS = 0x20
"""In a call object the function to call back ends where the status begins."""
SERVER = 8
"""Where a call object keeps the name of the server that it asks, a pointer to text."""
_KEY = re.compile(rb"/job:[\w.-]+/replica:\d+/task:\d+/[^;\0]*;[0-9a-f]+;/job:[^;\0]*;[^;\0]*;[^\0]*")
_DEVICE = re.compile(r"/job:[\w.-]+/replica:\d+/task:\d+")


class Layout(NamedTuple):
    """Where things are in objects of one library, as its own code says. Offsets in bytes."""

    status: int  # RpcRecvTensorCall::status_
    options: int  # RpcRecvTensorCall::opts_
    callback: int  # CallOptions::cancel_func_'s manager, 0 in an empty std::function


class OpenCall(NamedTuple):
    """A receive whose return nobody has been told of. `status` is a code of the framework, 0: not aborted.

    `server`: `/job:ps/replica:0/task:1`. `words`: what the object holds, to look for a step's number.
    """

    address: int
    server: str
    status: int
    words: Tuple[int, ...]
    tensor: str


class Table(NamedTuple):
    """A rendezvous object of a server. Not `initialized`: no RunGraph of its step has come."""

    step: int
    initialized: bool


class Places(NamedTuple):
    """Where in the library the tables of virtual functions begin, and where in their objects what is read lies."""

    calls: int
    rendezvous: int
    status: int  # of a call
    session_at: int


def layout_of(library: Library) -> Optional[Layout]:
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


def places_in(library: Library) -> Optional[Places]:
    """None where the library does not name the classes: stripped, or of a release that keeps them otherwise."""
    found = library.find([CALL_TABLE, RENDEZVOUS_TABLE, IS_INITIALIZED, ABORT_CALL, START_CANCEL])
    layout, session_at = layout_of(library), _session_offset(library)
    if layout is None or session_at is None or not {CALL_TABLE, RENDEZVOUS_TABLE} <= set(found):
        return None
    return Places(found[CALL_TABLE].address + 16, found[RENDEZVOUS_TABLE].address + 16, layout.status, session_at)


def _session_offset(library: Library) -> Optional[int]:
    """Where a rendezvous keeps its session: `is_initialized` compares it with nothing."""
    function = library.find([IS_INITIALIZED]).get(IS_INITIALIZED)
    code = library.code(function) if function else b""
    match = re.search(rb"\x48\x83[\x78-\x7f](.)\x00", code, re.DOTALL) or re.search(
        rb"\x49\x83[\x78-\x7f]\x24?(.)\x00", code, re.DOTALL
    )
    return match.group(1)[0] if match else None


def open_call(memory: Memory, address: int, status: int) -> Optional[OpenCall]:
    """The receive there, whose status lies so far into it.

    One that has returned keeps its object for the next, without a function to call back.
    """
    done = memory.word(address + status - DONE_BEFORE_STATUS)
    body = memory.read(address, status)
    if not done or len(body) < status:
        return None
    words = tuple(sorted({int.from_bytes(body[at : at + 8], "little") for at in range(0, len(body), 8)}))
    server = memory.line(memory.word(address + SERVER)).decode("utf-8", "replace")
    if not _DEVICE.match(server):
        return None
    return OpenCall(address, server, _code(memory, address + status), words, _tensor(memory, words))


def _code(memory: Memory, status: int) -> int:
    """Of a `Status`: a pointer to the code and what else there is, or nothing where it is OK."""
    state = memory.word(status)
    return int.from_bytes(memory.read(state, 4), "little") if state else 0


def _tensor(memory: Memory, words: Iterable[int]) -> str:
    """The tensor's name in the rendezvous: a string, or a pointer to one, among the object's words."""
    for word in words:
        if word < 1 << 32:
            continue
        for address in (word, memory.word(word)):
            match = _KEY.match(memory.line(address))
            if match:
                return match.group(0).decode("utf-8", "replace")
    return ""


def table_at(memory: Memory, address: int, session_at: int) -> Optional[Table]:
    """The rendezvous object there, None where none can be: after the session comes a vector, which has an order."""
    step = memory.word(address + 24)
    begin, end = memory.word(address + session_at + 8), memory.word(address + session_at + 16)
    if not step or not 0 <= end - begin < 1 << 24:
        return None
    return Table(step, bool(memory.word(address + session_at)))


def base_of(memory: Memory, name: str = LIBRARY) -> int:
    """Where the library of that name begins in the process, 0 where it is not mapped."""
    mapped = [start for start, _, _, path in memory.maps if path.rpartition("/")[2] == name]
    return min(mapped) if mapped else 0
