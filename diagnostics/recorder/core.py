"""The machinery under a recorder: the map, the counters, threads, forks, and writing one event.

Steps take no lock, so a hang cannot come from here, and a signal handler may record. Once open, nothing is
raised: what cannot be written is counted in ``dropped``.
"""

import atexit
import itertools
import os
import sysconfig
import threading
import time
import weakref
import zlib
from typing import Any, Callable, Optional, Sequence

from . import create
from .layout import (
    CRC,
    ERROR_BYTES,
    ERROR_HEAD,
    ERROR_TEXT_BYTES,
    FLAG_FAILED,
    MAX_I64,
    MIN_I64,
    RECORD,
    RECORD_BODY,
    EventKind,
    Offsets,
    cut,
)
from .tables import Labels, OpenTable

# Plain integers: looking up an enum's member and turning it into a number would cost more than packing it.
STEP_BEGIN = int(EventKind.STEP_BEGIN)
STEP_END = int(EventKind.STEP_END)
EPOCH_BEGIN = int(EventKind.EPOCH_BEGIN)
EPOCH_END = int(EventKind.EPOCH_END)
END_OF_SEQUENCE = int(EventKind.END_OF_SEQUENCE)
ROWS = int(EventKind.ROWS)
SAVE_BEGIN = int(EventKind.SAVE_BEGIN)
SAVE_END = int(EventKind.SAVE_END)
BARRIER_BEGIN = int(EventKind.BARRIER_BEGIN)
BARRIER_END = int(EventKind.BARRIER_END)
PHASE_BEGIN = int(EventKind.PHASE_BEGIN)
PHASE_END = int(EventKind.PHASE_END)
ERROR = int(EventKind.ERROR)
EXIT = int(EventKind.EXIT)
CLOSE = int(EventKind.CLOSE)
TICK = int(EventKind.TICK)
STEP_FAILED = STEP_END | FLAG_FAILED << 8
BEGINS = -1

FORK_IS_ANNOUNCED = hasattr(os, "register_at_fork")
_FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))

_pack = RECORD_BODY.pack
_pack_into = RECORD.pack_into
_crc32 = zlib.crc32
_monotonic = time.monotonic
_wall = time.time
getpid = os.getpid


def _thread_id() -> int:
    try:
        return threading.get_native_id()  # 3.8
    except AttributeError:
        pass
    try:
        return int(os.readlink("/proc/thread-self").rpartition("/")[2])
    except (OSError, ValueError):
        return threading.get_ident() & 0xFFFFFFFF


class State(object):
    """What a thread knows of itself. slot: of its step among what is open; 0 none, -1 not settled yet."""

    __slots__ = ("slot", "step", "tid")

    def __init__(self) -> None:
        self.tid = _thread_id()
        self.step = -1
        self.slot = -1


class _Here(threading.local):
    """One object a thread: each look at a thread-local costs as much as all fields of a plain object."""

    def __init__(self) -> None:
        self.state = State()


def _counter(start: int) -> Callable[[], int]:
    """Counts atomically. With the GIL a count is; without it, one that is shared needs a lock."""
    take = itertools.count(start).__next__
    if not _FREE_THREADED:
        return take
    lock = threading.RLock()

    def locked() -> int:
        with lock:
            return take()

    return locked


def number(value: Any, otherwise: int) -> int:
    """What a caller gave as a number, or something else."""
    try:
        return int(value)
    except Exception:
        return otherwise


class Core(object):
    """An open recording and how to write to it. :class:`.writer.Recorder` gives it its public face."""

    __slots__ = (
        "__weakref__",
        "_capacity",
        "_counts",
        "_dead",
        "_here",
        "_labels",
        "_latest",
        "_map",
        "_next_begun",
        "_next_ended",
        "_next_seq",
        "_next_stepper",
        "_offsets",
        "_open",
        "_pid",
        "_rare_lock",
        "_ring",
        "begun",
        "dropped",
        "ended",
        "epoch",
        "exited",
        "path",
        "rank",
        "step_number",
    )

    def __init__(self, path: Any, rank: str, runtime: str, capacity: int, expected: Sequence[str]) -> None:
        head = create.header(rank, runtime, capacity, expected)
        self._offsets = Offsets(len(head), capacity)
        self.path = os.path.abspath(os.fspath(path))
        self.rank = rank
        self.step_number = -1
        self.epoch = -1
        self.begun = 0
        self.ended = 0
        self.dropped = 0
        self.exited = False
        self._dead = False
        self._pid = getpid()
        self._capacity = capacity
        self._ring = self._offsets.ring
        self._next_seq = _counter(0)
        self._next_begun = _counter(1)
        self._next_ended = _counter(1)
        self._here = _Here()
        self._next_stepper = _counter(0)
        self._labels = Labels(self._offsets.labels)
        self._open = OpenTable(self._offsets.opened)
        self._latest = self._offsets.latest
        self._counts: Any = {}
        self._rare_lock = threading.RLock()
        self._map: Any = create.create(self.path, head, self._offsets)
        _recorders.add(self)
        atexit.register(self._at_exit)

    def _alive(self) -> bool:
        if not FORK_IS_ANNOUNCED and not self._dead and getpid() != self._pid:
            self._forget()
        return not self._dead

    def _forget(self) -> None:
        """Write nothing from now on: closed, or in a forked child, whose parent the ring belongs to.

        The steps' path has no check for this: without a map its writing fails. Only the map goes, because
        another thread may stand between reading the map and reading an offset. Locks are renewed: a thread
        that the child does not have may have held them.
        """
        self._dead = True
        self._map = None
        self._rare_lock = threading.RLock()
        self._next_seq, self._next_begun, self._next_ended = _counter(0), _counter(1), _counter(1)
        atexit.unregister(self._at_exit)

    def _at_exit(self) -> None:
        if self._alive():
            self.exit()

    def exit(self, code: int = -1) -> None:
        """The process has done its work and is about to end; -1: with an unknown code.

        Recorded once, at the interpreter's exit (with -1) if not before. A process that lives on for long after
        that hangs in its teardown; one that gave a code itself is taken to have finished.
        """
        if not self.exited:
            self.exited = True
            self._rare(EXIT, "", value=code)

    def _settle_slot(self, here: State) -> None:
        """The first thread that begins a step gets the slot in the table of what is open."""
        here.slot = self._open.first if self._next_stepper() == 0 else 0

    def _set_epoch(self, epoch: Any) -> None:
        epoch = number(epoch, -1)
        self.epoch = epoch if -(1 << 31) <= epoch < 1 << 31 else -1

    def _plain(self, kind: int, value: int) -> None:
        try:
            if not FORK_IS_ANNOUNCED and getpid() != self._pid:
                return self._forget()
            here = self._here.state
            seq = self._next_seq()
            body = _pack(
                seq, _monotonic(), _wall(), self.step_number, value, here.tid, self.epoch, self.begun,
                self.ended, kind,
            )  # fmt: skip
            _pack_into(self._map, self._ring + seq % self._capacity * 64, body, _crc32(body))
        except Exception:
            self._salvage(kind)

    def _rare(self, kind: int, name: str, span: int = 0, value: Optional[int] = None) -> None:
        """Write an event that also goes to the tables.

        Args:
            span: BEGINS, or the kind that this event ends, or 0.
            value: counted unless given: ends take their begin's.
        """
        word = kind
        try:
            if self._dead or (not FORK_IS_ANNOUNCED and not self._alive()):
                return
            with self._rare_lock:
                label = self._labels.numbers.get(name)
                if label is None:
                    label = self._labels.add(self._map, name, kind == ERROR)
                word = kind | label << 16
                here = self._here.state
                counts = self._counts
                if value is None:
                    if span > 0 and kind != EPOCH_END:
                        value = counts.get((span, label), 0)
                    else:
                        counted = (kind, label if span else 0)
                        value = counts[counted] = counts.get(counted, 0) + 1
                seq = self._next_seq()
                body = _pack(
                    seq, _monotonic(), _wall(), self.step_number, value, here.tid, self.epoch, self.begun,
                    self.ended, word,
                )  # fmt: skip
                crc = _crc32(body)
                mapped = self._map
                _pack_into(mapped, self._latest + kind * 64, body, crc)
                # A reader goes through the file from front to back. So that it takes nothing closed for open,
                # what begins is in the table before it is in the ring, and what ends leaves it after.
                alone = kind in (EPOCH_BEGIN, EPOCH_END)
                if span == BEGINS:
                    self._open.begin(mapped, (kind, label, 0 if alone else here.tid), body, crc, alone)
                _pack_into(mapped, self._ring + seq % self._capacity * 64, body, crc)
                if span > 0:
                    self._open.end(mapped, (span, label, 0 if alone else here.tid))
        except Exception:
            self._salvage(word)

    def _keep_error(self, text: str) -> None:
        """Put a text into the area of the last error."""
        with self._rare_lock:
            data = cut(text, ERROR_TEXT_BYTES)
            area = ERROR_HEAD.pack(_monotonic(), _wall(), len(data)) + data
            area += bytes(ERROR_BYTES - CRC.size - len(area))
            at = self._offsets.error
            self._map[at : at + ERROR_BYTES] = area + CRC.pack(_crc32(area))

    def _salvage(self, word: int) -> None:
        """Write an event without its numbers if they do not fit: a step's lost end would look like a hang."""
        if self._dead:
            return
        try:
            if not MIN_I64 <= self.step_number <= MAX_I64:
                self.step_number = -1
            here = self._here.state
            seq = self._next_seq()
            body = _pack(
                seq, _monotonic(), _wall(), self.step_number, -1, here.tid, self.epoch, self.begun,
                self.ended, word,
            )  # fmt: skip
            _pack_into(self._map, self._ring + seq % self._capacity * 64, body, _crc32(body))
            if word & 0xFF == STEP_END and here.slot > 0:
                _pack_into(self._map, here.slot, b"", 0)
        except Exception:
            self.dropped += 1


_recorders: Any = weakref.WeakSet()


def _forget_all() -> None:
    for recorder in list(_recorders):
        recorder._forget()


if FORK_IS_ANNOUNCED:
    os.register_at_fork(after_in_child=_forget_all)
