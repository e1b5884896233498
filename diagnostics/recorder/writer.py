"""The recorder that runs inside the job.

``step_begin`` and ``step_end`` are spelled out instead of sharing a helper: they are called for every step and a call costs
as much as the checksum. Nothing here waits: steps take no lock, so a hang cannot come from the recorder, and a signal
handler may record. Once open, a recorder raises nothing: what it cannot write it counts in ``dropped``.

Keep the file on a local file system, best /dev/shm: a page fault on a stuck network file system stops the whole interpreter.
"""

import atexit
import itertools
import os
import sysconfig
import threading
import time
import weakref
import zlib
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from . import create
from .layout import (
    CRC,
    ERROR_BYTES,
    ERROR_HEAD,
    ERROR_TEXT_BYTES,
    FLAG_FAILED,
    LABEL,
    LABEL_BYTES,
    LABEL_TEXT_BYTES,
    LABELS,
    MAX_I64,
    MIN_I64,
    OPEN_SLOTS,
    RECORD,
    RECORD_BODY,
    EventKind,
    Offsets,
    cut,
)
from .loop import Loop

# Plain integers: looking up an enum's member and turning it into a number would cost more than packing it.
_STEP_BEGIN = int(EventKind.STEP_BEGIN)
_STEP_END = int(EventKind.STEP_END)
_STEP_FAILED = _STEP_END | FLAG_FAILED << 8
_ROWS = int(EventKind.ROWS)
_TICK = int(EventKind.TICK)
_EPOCH_BEGIN = int(EventKind.EPOCH_BEGIN)
_EPOCH_END = int(EventKind.EPOCH_END)
_ERROR = int(EventKind.ERROR)
_ENDED_BY = {
    int(EventKind.EPOCH_END): _EPOCH_BEGIN,
    int(EventKind.SAVE_END): int(EventKind.SAVE_BEGIN),
    int(EventKind.BARRIER_END): int(EventKind.BARRIER_BEGIN),
    int(EventKind.PHASE_END): int(EventKind.PHASE_BEGIN),
}
_BEGINS = frozenset(_ENDED_BY.values())

_OTHER = LABELS - 1
_LABELS_FOR_ERRORS = 48  # Errors are many and various: they must not use up the labels of barriers and phases.

_FORK_IS_ANNOUNCED = hasattr(os, "register_at_fork")
_FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))

_pack = RECORD_BODY.pack
_pack_into = RECORD.pack_into
_crc32 = zlib.crc32
_monotonic = time.monotonic
_wall = time.time
_ident = threading.get_ident
_getpid = os.getpid


def _thread_id() -> int:
    try:
        return threading.get_native_id()  # 3.8
    except AttributeError:
        pass
    try:
        return int(os.readlink("/proc/thread-self").rpartition("/")[2])
    except (OSError, ValueError):
        return _ident() & 0xFFFFFFFF


class _Here(threading.local):
    """What a thread knows of itself."""

    def __init__(self) -> None:
        self.tid = _thread_id()
        self.step = -1
        self.slot = 0


class _Stepper(object):
    """The same for the first thread that makes steps: a thread-local lookup would double the cost of its fields."""

    __slots__ = ("slot", "step", "tid")

    def __init__(self, tid: int, slot: int) -> None:
        self.tid = tid
        self.step = -1
        self.slot = slot


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


def _number(value: Any, otherwise: int) -> int:
    try:
        return int(value)
    except Exception:
        return otherwise


class Recorder(Loop):
    """Writes a recording.

    ``step_number`` and ``epoch`` are where the job is (-1: nowhere yet), ``begun`` and ``ended`` count its steps.

    Args:
        path: where; a file of that name is replaced, atomically.
        rank: ``worker:0``.
        runtime: framework and release, ``tf1.12.0``.
        capacity: events that the ring holds.
        expected: every rank of the job, where known.

    Raises (here only, never later):
        OSError: the file cannot be made or the disk is full.
        ValueError: a text is too long (64 bytes) or not printable, or the capacity is out of range.
    """

    __slots__ = (
        "__weakref__", "_capacity", "_counts", "_dead", "_here", "_labels", "_map", "_next_begun", "_next_ended",
        "_next_seq", "_offsets", "_open", "_pid", "_rare_lock", "_ring", "_stepper", "_stepper_ident", "begun", "dropped",
        "ended", "epoch", "exited", "path", "rank", "step_number",
    )  # fmt: skip

    enabled = True

    def __init__(
        self, path: Any, rank: str, runtime: str = "", capacity: int = 4096, expected: Sequence[str] = ()
    ) -> None:
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
        self._pid = _getpid()
        self._capacity = capacity
        self._ring = self._offsets.ring
        self._next_seq = _counter(0)
        self._next_begun = _counter(1)
        self._next_ended = _counter(1)
        self._here = _Here()
        self._stepper = None  # type: Any
        self._stepper_ident = -1
        self._labels = {"": 0}  # type: Dict[str, int]
        self._counts = {}  # type: Dict[Tuple[int, int], int]
        self._open = [None] * OPEN_SLOTS  # type: List[Optional[Tuple[int, int, int]]]
        self._open[0] = (_STEP_BEGIN, 0, 0)
        self._rare_lock = threading.RLock()
        self._map = create.create(self.path, head, self._offsets)  # type: Any
        _recorders.add(self)
        atexit.register(self._at_exit)

    @property
    def alive(self) -> bool:
        """Whether events are still written: not closed, and not in a forked child."""
        return self._alive()

    @classmethod
    def from_env(cls, runtime: str = "", capacity: int = 4096) -> Any:
        """The recorder that the environment asks for, or one that does nothing: see :func:`.env.from_env`."""
        from .env import from_env

        return from_env(runtime, capacity)

    # The hot path.

    def step_begin(self, step: Optional[int] = None) -> None:
        """A step begins; its number is the last one's plus 1 unless given."""
        try:
            if not _FORK_IS_ANNOUNCED and _getpid() != self._pid:
                return self._forget()
            here = self._stepper if _ident() == self._stepper_ident else self._first_stepper()
            if step is None:
                step = self.step_number + 1
            elif type(step) is not int:
                step = _number(step, self.step_number + 1)
            here.step = self.step_number = step
            self.begun = begun = self._next_begun()
            seq = self._next_seq()
            body = _pack(
                seq, _monotonic(), _wall(), step, -1, here.tid, self.epoch, begun, self.ended, _STEP_BEGIN
            )
            crc = _crc32(body)
            if here.slot:
                _pack_into(self._map, here.slot, body, crc)
            _pack_into(self._map, self._ring + seq % self._capacity * 64, body, crc)
        except Exception:
            self._salvage(_STEP_BEGIN)

    def step_end(self, rows: int = -1, failed: bool = False) -> None:
        """This thread's step ends.

        Args:
            rows: of its batch, -1 unknown.
            failed: it ended in an error or at the end of the sequence.
        """
        try:
            if not _FORK_IS_ANNOUNCED and _getpid() != self._pid:
                return self._forget()
            here = self._stepper if _ident() == self._stepper_ident else self._here
            self.ended = ended = self._next_ended()
            seq = self._next_seq()
            body = _pack(
                seq, _monotonic(), _wall(), here.step, rows, here.tid, self.epoch, self.begun, ended,
                _STEP_FAILED if failed else _STEP_END,
            )  # fmt: skip
            _pack_into(self._map, self._ring + seq % self._capacity * 64, body, _crc32(body))
            if here.slot:
                _pack_into(self._map, here.slot, b"", 0)
        except Exception:
            self._salvage(_STEP_FAILED if failed else _STEP_END)

    def rows(self, n: int) -> None:
        """A batch of n rows arrived; -1: of unknown size."""
        self._plain(_ROWS, n)

    def tick(self, value: int = -1) -> None:
        """Still alive, within whatever is open: a batch of an evaluation, a shard written."""
        self._plain(_TICK, value)

    # Rare events.

    def epoch_begin(self, epoch: int) -> None:
        """An epoch begins, and any other ends."""
        self._set_epoch(epoch)
        self._rare(_EPOCH_BEGIN, "")

    def epoch_end(self, epoch: Optional[int] = None) -> None:
        """The epoch ends: this one, unless given."""
        if epoch is not None:
            self._set_epoch(epoch)
        self._rare(int(EventKind.EPOCH_END), "")

    def end_of_sequence(self) -> None:
        """The input is exhausted."""
        self._rare(int(EventKind.END_OF_SEQUENCE), "")

    def save_begin(self, name: str = "") -> None:
        """Saving begins."""
        self._rare(int(EventKind.SAVE_BEGIN), name)

    def save_end(self, name: str = "") -> None:
        """Saving ends."""
        self._rare(int(EventKind.SAVE_END), name)

    def barrier_begin(self, name: str) -> None:
        """Waiting for the other ranks begins. Few names: each takes one of 62 labels, and the event counts how often."""
        self._rare(int(EventKind.BARRIER_BEGIN), name)

    def barrier_end(self, name: str) -> None:
        """The barrier is passed, or given up."""
        self._rare(int(EventKind.BARRIER_END), name)

    def phase_begin(self, name: str) -> None:
        """Something long begins that is no hang: ``evaluation``, ``checkpoint``, ``compile``."""
        self._rare(int(EventKind.PHASE_BEGIN), name)

    def phase_end(self, name: str) -> None:
        """The phase ends."""
        self._rare(int(EventKind.PHASE_END), name)

    def error(self, text: Any) -> None:
        """Something failed; keeps the newest text, up to 1 KiB of it, and labels the event with what is before a colon."""
        try:
            text = str(text)
            if self._alive():
                with self._rare_lock:
                    data = cut(text, ERROR_TEXT_BYTES)
                    area = ERROR_HEAD.pack(_monotonic(), _wall(), len(data)) + data
                    area += bytes(ERROR_BYTES - CRC.size - len(area))
                    at = self._offsets.error
                    self._map[at : at + ERROR_BYTES] = area + CRC.pack(_crc32(area))
                self._rare(int(EventKind.ERROR), text.partition("\n")[0].partition(":")[0])
        except Exception:
            self.dropped += 1

    def exit(self, code: int = -1) -> None:
        """The process is about to end; -1: with an unknown code. Recorded once, at the interpreter's exit if not before.

        A process that lives on after this event hangs in its teardown.
        """
        if not self.exited:
            self.exited = True
            self._rare(int(EventKind.EXIT), "", code)

    def close(self) -> None:
        """Stop recording, on purpose. The file stays; later calls do nothing."""
        if self._alive():
            if not self.exited:
                self._rare(int(EventKind.CLOSE), "")
            self._forget()

    # Inside.

    def _alive(self) -> bool:
        if not _FORK_IS_ANNOUNCED and not self._dead and _getpid() != self._pid:
            self._forget()
        return not self._dead

    def _forget(self) -> None:
        """Write nothing from now on: closed, or in a forked child, whose parent the ring belongs to.

        The steps' path has no check for this: without a map its writing fails. Only the map goes, because another thread may
        stand between reading the map and reading an offset. Locks are renewed: a thread that the child does not have may
        have held them.
        """
        self._dead = True
        self._map = None
        self._rare_lock = threading.RLock()
        self._next_seq, self._next_begun, self._next_ended = _counter(0), _counter(1), _counter(1)
        atexit.unregister(self._at_exit)

    def _at_exit(self) -> None:
        if self._alive():
            self.exit()

    def _first_stepper(self) -> Any:
        """The first thread that begins a step gets the fast path and the slot in the table of open events."""
        if self._stepper is None and not self._dead:
            with self._rare_lock:
                if self._stepper is None:
                    self._stepper = _Stepper(self._here.tid, self._offsets.opened)
                    self._stepper_ident = _ident()
                    return self._stepper
        return self._here

    def _set_epoch(self, epoch: Any) -> None:
        epoch = _number(epoch, -1)
        self.epoch = epoch if -(1 << 31) <= epoch < 1 << 31 else -1

    def _plain(self, kind: int, value: int) -> None:
        try:
            if not _FORK_IS_ANNOUNCED and _getpid() != self._pid:
                return self._forget()
            here = self._stepper if _ident() == self._stepper_ident else self._here
            seq = self._next_seq()
            body = _pack(
                seq, _monotonic(), _wall(), self.step_number, value, here.tid, self.epoch, self.begun, self.ended, kind
            )
            _pack_into(self._map, self._ring + seq % self._capacity * 64, body, _crc32(body))
        except Exception:
            self._salvage(kind)

    def _rare(self, kind: int, name: str, value: Optional[int] = None) -> None:
        word = kind
        try:
            if not self._alive():
                return
            with self._rare_lock:
                label = self._labels.get(name)
                if label is None:
                    label = self._new_label(name, kind)
                word = kind | label << 16
                here = self._stepper if _ident() == self._stepper_ident else self._here
                begin = _ENDED_BY.get(kind)
                if value is None:
                    if begin is None or kind == _EPOCH_END:
                        counted = (kind, 0 if kind == _ERROR else label)
                        value = self._counts[counted] = self._counts.get(counted, 0) + 1
                    else:
                        value = self._counts.get((begin, label), 0)
                seq = self._next_seq()
                body = _pack(
                    seq, _monotonic(), _wall(), self.step_number, value, here.tid, self.epoch, self.begun, self.ended, word
                )
                crc = _crc32(body)
                _pack_into(self._map, self._offsets.latest + kind * 64, body, crc)
                # A reader goes through the file from front to back. So that it never takes something closed for open,
                # what begins is in the table before it is in the ring, and what ends leaves it after.
                if kind in _BEGINS:
                    slot = self._take_slot(kind, label, here.tid)
                    if slot:
                        _pack_into(self._map, self._offsets.opened + slot * 64, body, crc)
                _pack_into(self._map, self._ring + seq % self._capacity * 64, body, crc)
                if begin is not None:
                    slot = self._free_slot(begin, label, here.tid)
                    if slot:
                        _pack_into(self._map, self._offsets.opened + slot * 64, b"", 0)
        except Exception:
            self._salvage(word)

    def _take_slot(self, begin: int, label: int, tid: int) -> int:
        if begin == _EPOCH_BEGIN:  # One at a time: the new one takes the old one's place.
            tid = 0
            if (begin, label, tid) in self._open:
                return self._open.index((begin, label, tid))
        try:
            slot = self._open.index(None)
        except ValueError:
            return 0
        self._open[slot] = (begin, label, tid)
        return slot

    def _free_slot(self, begin: int, label: int, tid: int) -> int:
        key = (begin, label, 0 if begin == _EPOCH_BEGIN else tid)
        if key not in self._open:  # Ended by another thread than the one that began it.
            others = [taken for taken in self._open if taken and taken[:2] == (begin, label)]
            if not others:
                return 0
            key = others[-1]
        slot = self._open.index(key)
        self._open[slot] = None
        return slot

    def _new_label(self, name: Any, kind: int) -> int:
        data = cut(str(name), LABEL_TEXT_BYTES)
        text = data.decode("utf-8")
        label = self._labels.get(text)
        if label is None:
            label = len(self._labels)
            if label >= (_LABELS_FOR_ERRORS if kind == _ERROR else _OTHER):
                label, data, text = _OTHER, b"(other)", "(other)"
            area = LABEL.pack(len(data), data)
            at = self._offsets.labels + label * LABEL_BYTES
            self._map[at : at + LABEL_BYTES] = area + CRC.pack(_crc32(area))
            if label != _OTHER:
                self._labels[text] = label
        return label

    def _salvage(self, word: int) -> None:
        """Write an event whose numbers did not fit without them: a step's lost end would look like a hang."""
        if self._dead:
            return
        try:
            if not MIN_I64 <= self.step_number <= MAX_I64:
                self.step_number = -1
            seq = self._next_seq()
            body = _pack(
                seq, _monotonic(), _wall(), self.step_number, -1, self._here.tid, self.epoch, self.begun, self.ended, word
            )
            _pack_into(self._map, self._ring + seq % self._capacity * 64, body, _crc32(body))
            if word & 0xFF == _STEP_END and _ident() == self._stepper_ident:
                _pack_into(self._map, self._stepper.slot, b"", 0)
        except Exception:
            self.dropped += 1


_recorders = weakref.WeakSet()  # type: weakref.WeakSet[Recorder]


def _forget_all() -> None:
    for recorder in list(_recorders):
        recorder._forget()


if _FORK_IS_ANNOUNCED:
    os.register_at_fork(after_in_child=_forget_all)
