"""What a job that stands still has in memory: receives that are open, and servers that were never told of the step.

Works on objects, found by their class's table of virtual functions, and needs no debug symbols: where a field is, the
library's own code says. Memory is only read, and no process is stopped: what is looked for does not change any more,
and two looks have to agree.
"""

from __future__ import annotations

import mmap
import re
import time
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from diagnostics.collector.kernel import text_of
from diagnostics.errors import MissingError
from diagnostics.frameworks.tensorflow1.elf import ABORT_CALL, START_CANCEL, Library, layout_of
from diagnostics.frameworks.tensorflow1.receives import STATUS_WORDS, rank_of
from diagnostics.model.trace import Count, Escaped, TraceResult, TraceVerdict

CALL_TABLE = "_ZTVN10tensorflow12_GLOBAL__N_117RpcRecvTensorCallE"
RENDEZVOUS_TABLE = "_ZTVN10tensorflow12_GLOBAL__N_119RpcRemoteRendezvousE"
IS_INITIALIZED = "_ZN10tensorflow20BaseRemoteRendezvous14is_initializedE"

DONE_BEFORE_STATUS = 0x20
"""In a call object the function to call back ends where the status begins."""
SERVER = 8
"""Where a call object keeps the name of the server that it asks, a pointer to text."""
GAP = 1.0
"""Seconds between the two looks at a receive, at least."""
LARGEST_REGION = 4 << 30
CHUNK = 16 << 20
"""Bytes of another process that are held here at a time."""
MOST = 8 << 30
"""Bytes of one process that are looked through without being asked to; `lastbatch trace --memory` has no limit."""
PAGE = mmap.PAGESIZE
_IN_USE = re.compile(rb"[\x40-\xff]+")
"""Highest bytes of the entries of /proc/PID/pagemap for pages that are present (bit 63) or swapped out (62)."""
_KEY = re.compile(rb"/job:[\w.-]+/replica:\d+/task:\d+/[^;\0]*;[0-9a-f]+;/job:[^;\0]*;[^;\0]*;[^\0]*")


class OpenCall(NamedTuple):
    """A receive whose return nobody has been told of. `status` is a code of the framework, 0: not aborted."""

    address: int
    server: str
    status: int
    words: frozenset[int]  # what the object holds, to look for a step's number
    tensor: str


class Table(NamedTuple):
    """A rendezvous object of a server. Not `initialized`: no RunGraph of its step has come."""

    step: int
    initialized: bool


class Memory:
    """Another process's memory. Raises: MissingError: it may not be read."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        try:
            self._file = open(f"/proc/{pid}/mem", "rb", buffering=0)  # noqa: SIM115
        except OSError as error:
            why = f"cannot read the memory of process {pid}: {error.strerror}"
            raise MissingError(why, "Run it with sudo") from None

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, address: int, size: int) -> bytes:
        """Up to `size` bytes, none where nothing is mapped."""
        try:
            self._file.seek(address)
            return self._file.read(size)
        except (OSError, ValueError, OverflowError):
            return b""

    def number(self, address: int) -> int:
        return int.from_bytes(self.read(address, 8), "little")

    def code(self, status: int) -> int:
        """Of a `Status`: a pointer to the code and what else there is, or nothing where it is OK."""
        state = self.number(status)
        return int.from_bytes(self.read(state, 4), "little") if state else 0

    def text(self, address: int, limit: int = 512) -> bytes:
        return self.read(address, limit).split(b"\0", 1)[0]

    def find(self, words: Collection[int]) -> Iterator[tuple[int, int]]:
        """(address, word) where anonymous, writable memory holds one of these 8-byte words, aligned."""
        # Without its zeros, of which memory is full: a search skips ahead by a needle's last byte.
        needles = {word: word.to_bytes(8, "little").rstrip(b"\0") for word in words}
        for begin, end in self._used:
            for start in range(begin, end, CHUNK):
                data = self.read(start, min(CHUNK, end - start))
                for word, needle in needles.items():
                    at = data.find(needle)
                    while at >= 0:
                        if at % 8 == 0 and data[at : at + 8] == word.to_bytes(8, "little"):
                            yield start + at, word
                        at = data.find(needle, at + 1)

    @property
    def used(self) -> int:
        """Bytes in which something may be found."""
        return sum(end - start for start, end in self._used)

    @cached_property
    def _used(self) -> tuple[tuple[int, int], ...]:
        """Runs of pages that hold something. Of what an allocator has reserved most was never touched."""
        runs: list[tuple[int, int]] = []
        with open(f"/proc/{self.pid}/pagemap", "rb", buffering=0) as pagemap:
            for start, end in self._regions():
                pagemap.seek(start // PAGE * 8)
                flags = pagemap.read((end - start) // PAGE * 8)[7::8]
                runs += [(start + run.start() * PAGE, start + run.end() * PAGE) for run in _IN_USE.finditer(flags)]
        return tuple(runs)

    def _regions(self) -> Iterator[tuple[int, int]]:
        for line in text_of(f"/proc/{self.pid}/maps", 16 << 20).splitlines():
            fields = line.split(None, 5)
            if fields[1].startswith("rw") and (len(fields) < 6 or fields[5].startswith("[heap]")):
                start, end = (int(part, 16) for part in fields[0].split("-"))
                if end - start <= LARGEST_REGION:
                    yield start, end


def base_of(pid: int, library: Path) -> int:
    """Where the library begins in the process, 0 where it is not mapped."""
    for line in text_of(f"/proc/{pid}/maps", 16 << 20).splitlines():
        fields = line.split(None, 5)
        if len(fields) == 6 and fields[2] == "00000000" and Path(fields[5]).name == library.name:
            return int(fields[0].split("-")[0], 16)
    return 0


def open_call(memory: Memory, address: int, status: int) -> OpenCall | None:
    """The receive there, whose status lies so far into it.

    One that has returned keeps its object for the next, without a function to call back.
    """
    done = memory.number(address + status - DONE_BEFORE_STATUS)
    body = memory.read(address, status)
    if not done or len(body) < status:
        return None
    words = frozenset(int.from_bytes(body[at : at + 8], "little") for at in range(0, len(body), 8))
    code = memory.code(address + status)
    server = memory.text(memory.number(address + SERVER)).decode("utf-8", "replace")
    return OpenCall(address, rank_of(server), code, words, _tensor(memory, words)) if rank_of(server) else None


def _tensor(memory: Memory, words: frozenset[int]) -> str:
    """The tensor's name in the rendezvous: a string, or a pointer to one, among the object's words."""
    for word in words:
        if word < 1 << 32:
            continue
        for address in (word, memory.number(word)):
            if match := _KEY.match(memory.text(address)):
                return match[0].decode("utf-8", "replace")
    return ""


def table_at(memory: Memory, address: int, session_at: int) -> Table | None:
    """The rendezvous object there, None where none can be: after the session comes a vector, which has an order."""
    step = memory.number(address + 24)
    begin, end = memory.number(address + session_at + 8), memory.number(address + session_at + 16)
    if not step or not 0 <= end - begin < 1 << 24:
        return None
    return Table(step, bool(memory.number(address + session_at)))


def session_offset(library: Library) -> int | None:
    """Where a rendezvous keeps its session: `is_initialized` compares it with nothing."""
    function = library.find([IS_INITIALIZED]).get(IS_INITIALIZED)
    code = library.code(function) if function else b""
    match = re.search(rb"\x48\x83[\x78-\x7f](.)\x00", code, re.DOTALL) or re.search(
        rb"\x49\x83[\x78-\x7f]\x24?(.)\x00", code, re.DOTALL
    )
    return match[1][0] if match else None


def judge(path: Path, ranks: Mapping[int, str], clients: Container[int] | None = None) -> TraceResult:
    """The verdict from two looks at the memory of all processes.

    Args:
        path: the library, see `session.find_library`.
        ranks: process -> rank.
        clients: those whose receives can hold the job, where that is known. One of a server that escaped holds nobody.

    Raises:
        MissingError: memory may not be read, or the library does not name the classes.
    """
    library = Library(path)
    library.find([CALL_TABLE, RENDEZVOUS_TABLE, IS_INITIALIZED, ABORT_CALL, START_CANCEL])
    layout, session_at = layout_of(library), session_offset(library)
    found = library.find([CALL_TABLE, RENDEZVOUS_TABLE])
    if layout is None or session_at is None or len(found) < 2:
        raise MissingError(
            f"{path.name} does not name the classes of its receives",
            "It was stripped, or is of a release that keeps them otherwise",
        )
    began = time.monotonic()
    places = _Places(found[CALL_TABLE].address + 16, found[RENDEZVOUS_TABLE].address + 16, layout.status, session_at)
    # Clients first: the wait for the second look at them passes while the servers are looked through.
    holding = [pid for pid in ranks if clients is None or pid in clients]
    held, tables = _look(path, holding, places)
    looked = time.monotonic()
    _, more = _look(path, [pid for pid in ranks if pid not in held], places)
    served = tables | more
    time.sleep(max(0.0, looked + GAP - time.monotonic()))
    still = {pid: _still_open(pid, found, layout.status) for pid, found in held.items()}
    return _verdict(still, served, ranks, str(path), time.monotonic() - began)


Calls = dict[int, tuple[OpenCall, ...]]
Served = dict[int, tuple[Table, ...]]


class _Places(NamedTuple):
    """Where in the library the tables of virtual functions begin, and where in their objects what is read lies."""

    calls: int
    rendezvous: int
    status: int  # of a call
    session_at: int


def _look(library: Path, pids: Iterable[int], places: _Places) -> tuple[Calls, Served]:
    """One pass over the memory of each process."""
    calls: Calls = {}
    served: Served = {}
    for pid in pids:
        if base := base_of(pid, library):
            with Memory(pid) as memory:
                found = list(memory.find((base + places.calls, base + places.rendezvous)))
                here = [address for address, word in found if word == base + places.calls]
                there = [address for address, word in found if word == base + places.rendezvous]
                calls[pid] = tuple(filter(None, (open_call(memory, at, places.status) for at in here)))
                served[pid] = tuple(filter(None, (table_at(memory, at, places.session_at) for at in there)))
    return calls, served


def _still_open(pid: int, calls: Sequence[OpenCall], status: int) -> tuple[OpenCall, ...]:
    """Those that are as they were."""
    with Memory(pid) as memory:
        return tuple(call for call in calls if open_call(memory, call.address, status) == call)


def _verdict(calls: Calls, served: Served, ranks: Mapping[int, str], library: str, seconds: float) -> TraceResult:
    aborted = [(pid, call) for pid, group in calls.items() for call in group if call.status]
    waiting = [(pid, call) for pid, group in calls.items() for call in group if not call.status]
    escaped = tuple(_escaped(pid, call, served, ranks) for pid, call in aborted)
    verdict, why = TraceVerdict.REFUTED, "no receive is open in any of these processes"
    if escaped:
        verdict, why = TraceVerdict.PROVEN, _proof(escaped[0], aborted[0][1].status)
    elif waiting:
        asked = ", ".join(sorted({call.server for _, call in waiting}))
        verdict = TraceVerdict.NOT_SEEN
        why = f"{len(waiting)} receives are open to {asked}, and none of them was aborted"
    return TraceResult(
        probe_set="rendezvous", verdict=verdict, why=why, method="memory", library=library, seconds=round(seconds, 3),
        counts=(Count("open and aborted", len(aborted)), Count("open", len(waiting))), escaped=escaped,
        did_not_run=tuple(dict.fromkeys(call.peer for call in escaped if call.peer_ran is False)),
    )  # fmt: skip


def _proof(call: Escaped, code: int) -> str:
    never = " and never ran its step" if call.peer_ran is False else ""
    return (
        f"{call.rank} has a receive open that was aborted ({STATUS_WORDS.get(code, code)}) and waits all the same "
        f"for {call.peer}, which has not answered{never}"
    )


def _escaped(pid: int, call: OpenCall, served: Served, ranks: Mapping[int, str]) -> Escaped:
    asked = [number for number, rank in ranks.items() if rank == call.server]
    others = [number for number in served if number != pid]  # any of them, where nobody is known by that name
    tables = [table for number in asked or others for table in served.get(number, ())]
    of_step = [table for table in tables if table.step in call.words]
    mine = min(of_step, key=lambda table: table.initialized, default=None)
    return Escaped(
        rank=ranks[pid], window="", step=f"{mine.step:x}" if mine else "", owner="", call=f"{call.address:x}",
        peer=call.server, thread=0, aborted_by=0, distance=0.0, came_back=False,
        peer_ran=mine.initialized if mine else None, tensor=call.tensor,
    )  # fmt: skip
