"""The recorder that runs inside the job.

``step_begin`` and ``step_end`` are spelled out instead of sharing a helper: they are called for every
step and a call costs as much as the checksum. They take no lock; rare events (epochs, saves, barriers,
phases) take one for a moment, and cost about twice as much, because they also go to tables that the
ring's wrap spares.

Keep the file on a local file system, best /dev/shm: a page fault on a stuck network file system stops the
whole interpreter.
"""

import time
import zlib
from typing import Any, Optional, Sequence

from . import core, env
from .core import FORK_IS_ANNOUNCED, Core, number
from .layout import RECORD, RECORD_BODY
from .loop import Loop

_STEP_BEGIN = core.STEP_BEGIN
_STEP_END = core.STEP_END
_STEP_FAILED = core.STEP_FAILED

_pack = RECORD_BODY.pack
_pack_into = RECORD.pack_into
_crc32 = zlib.crc32
_monotonic = time.monotonic
_wall = time.time
_getpid = core.getpid


class Recorder(Core, Loop):
    """Writes a recording.

    ``step_number`` and ``epoch`` are where the job is (-1: nowhere yet), ``begun`` and ``ended`` count its
    steps.

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

    __slots__ = ()

    enabled = True

    def __init__(
        self, path: Any, rank: str, runtime: str = "", capacity: int = 4096, expected: Sequence[str] = ()
    ) -> None:
        super(Recorder, self).__init__(path, rank, runtime, capacity, expected)

    @property
    def alive(self) -> bool:
        """Whether events are still written: not closed, and not in a forked child."""
        return self._alive()

    @classmethod
    def from_env(cls, runtime: str = "", capacity: int = 4096) -> Any:
        """The recorder that the environment asks for, or one that does nothing: see :func:`.env.from_env`."""
        return env.from_env(Recorder, runtime, capacity)

    # The hot path.

    def step_begin(self, step: Optional[int] = None) -> None:
        """A step begins; its number is the last one's plus 1 unless given."""
        try:
            if not FORK_IS_ANNOUNCED and _getpid() != self._pid:
                return self._forget()
            here = self._here.state
            if step is None:
                step = self.step_number + 1
            elif type(step) is not int:
                step = number(step, self.step_number + 1)
            here.step = self.step_number = step
            self.begun = begun = self._next_begun()
            seq = self._next_seq()
            body = _pack(
                seq, _monotonic(), _wall(), step, -1, here.tid, self.epoch, begun, self.ended, _STEP_BEGIN
            )
            crc = _crc32(body)
            if here.slot:
                if here.slot < 0:
                    self._settle_slot(here)
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
            if not FORK_IS_ANNOUNCED and _getpid() != self._pid:
                return self._forget()
            here = self._here.state
            self.ended = ended = self._next_ended()
            seq = self._next_seq()
            body = _pack(
                seq, _monotonic(), _wall(), here.step, rows, here.tid, self.epoch, self.begun, ended,
                _STEP_FAILED if failed else _STEP_END,
            )  # fmt: skip
            _pack_into(self._map, self._ring + seq % self._capacity * 64, body, _crc32(body))
            if here.slot > 0:
                _pack_into(self._map, here.slot, b"", 0)
        except Exception:
            self._salvage(_STEP_FAILED if failed else _STEP_END)

    def rows(self, n: int) -> None:
        """A batch of n rows arrived; -1: of unknown size."""
        self._plain(core.ROWS, n)

    def tick(self, value: int = -1) -> None:
        """Still alive, within whatever is open: a batch of an evaluation, a shard written."""
        self._plain(core.TICK, value)

    # Rare events.

    def epoch_begin(self, epoch: int) -> None:
        """An epoch begins, and any other ends."""
        self._set_epoch(epoch)
        self._rare(core.EPOCH_BEGIN, "", core.BEGINS)

    def epoch_end(self, epoch: Optional[int] = None) -> None:
        """The epoch ends: this one, unless given."""
        if epoch is not None:
            self._set_epoch(epoch)
        self._rare(core.EPOCH_END, "", core.EPOCH_BEGIN)

    def end_of_sequence(self) -> None:
        """The input is exhausted."""
        self._rare(core.END_OF_SEQUENCE, "")

    def save_begin(self, name: str = "") -> None:
        """Saving begins."""
        self._rare(core.SAVE_BEGIN, name, core.BEGINS)

    def save_end(self, name: str = "") -> None:
        """Saving ends."""
        self._rare(core.SAVE_END, name, core.SAVE_BEGIN)

    def barrier_begin(self, name: str) -> None:
        """Waiting for the other ranks begins.

        Use few names: each takes one of 62 labels, and the event itself counts how often.
        """
        self._rare(core.BARRIER_BEGIN, name, core.BEGINS)

    def barrier_end(self, name: str) -> None:
        """The barrier is passed, or given up."""
        self._rare(core.BARRIER_END, name, core.BARRIER_BEGIN)

    def phase_begin(self, name: str) -> None:
        """Something long begins that is no hang: ``evaluation``, ``checkpoint``, ``compile``."""
        self._rare(core.PHASE_BEGIN, name, core.BEGINS)

    def phase_end(self, name: str) -> None:
        """The phase ends."""
        self._rare(core.PHASE_END, name, core.PHASE_BEGIN)

    def error(self, text: Any) -> None:
        """Something failed. Keeps 1 KiB of the newest text; what is before a colon is the event's label."""
        try:
            text = str(text)
            if self._alive():
                self._keep_error(text)
                self._rare(core.ERROR, text.partition("\n")[0].partition(":")[0])
        except Exception:
            self.dropped += 1

    def close(self) -> None:
        """Stop recording, on purpose. The file stays; later calls do nothing."""
        if self._alive():
            if not self.exited:
                self._rare(core.CLOSE, "")
            self._forget()
