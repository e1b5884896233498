"""The recording's byte layout, shared by writer and reader.

A recording is one file of fixed size, all integers little-endian, no padding between fields. Times are
seconds as float64: ``mono`` is CLOCK_MONOTONIC (comparable between processes of one boot), ``wall`` is Unix
time.

::

    offset            bytes          what
    0                 header_bytes   header: one block, a multiple of 4096
                          0   8s   magic  89 'LBREC' 0d 0a
                          8   u32  version (1)
                         12   u32  crc32 of the header from offset 16 to header_bytes
                         16   u32  header_bytes
                         20   u32  bytes of the list of expected ranks
                         24   u32  capacity of the ring, records
                         28   u32  pid as the process sees it
                         32   u64  process start, clock ticks since boot (field 22 of /proc/PID/stat), or 0
                         40   u32  clock ticks per second
                         44   u32  reserved, 0
                         48   f64  mono at creation
                         56   f64  wall at creation
                         64   64s  boot id        (text fields: UTF-8, filled up with NUL)
                        128   64s  interpreter, "cpython 3.6.15"
                        192   64s  host name
                        256   64s  rank, "worker:0"
                        320   64s  runtime, "tf1.12.0"
                        384   ...  expected ranks, UTF-8, one a line; then NUL up to header_bytes
    header_bytes      1088           the last error: f64 mono, f64 wall, u32 length, text (at most 1024),
                                     NUL, u32 crc32
    + 1088            64 x 48        labels: u16 length, 42 bytes of UTF-8 filled up with NUL, u32 crc32.
                                     An unused label is all NUL. Label 0 is never used: it means "no label".
    + 3072            32 x 64        the latest record of each rare kind (all but steps, rows and ticks), at
                                     slot ``kind``: survives the ring's wrap
    + 2048            64 x 64        the begin records of what is open. Slot 0: the step of the first thread
                                     that began one. A free slot is all NUL.
    + 4096            capacity x 64  the ring: record ``seq`` is in slot ``seq % capacity``

    record (64 bytes)
      0  u64  seq       number of the event, from 0
      8  f64  mono
     16  f64  wall
     24  i64  step      the job's step as it counts it, -1: none yet
     32  i64  value     see EventKind
     40  u32  thread    kernel thread id (gettid), in the process's own pid namespace
     44  i32  epoch     -1: none yet
     48  u32  begun     steps begun so far, this event included
     52  u32  ended     steps ended so far, this event included
     56  u8   kind
     57  u8   flags     bit 0: the step failed (error, or end of sequence)
     58  u16  label
     60  u32  crc32 of the 60 bytes before

A record that is neither all NUL nor passes its checksum was torn: half written when the reader looked or
the machine died. A seq that is absent from the ring's newest ``capacity`` was being written, or was torn.
Two threads may finish writing in the opposite order of their seq.
"""

import enum
import struct

MAGIC = b"\x89LBREC\r\n"
VERSION = 1
SUFFIX = ".lbrec"

HEADER = struct.Struct("<8sIIIIIIQIIdd64s64s64s64s64s")
HEADER_CHECKED_FROM = 16
HEADER_UNIT = 4096
TEXT_BYTES = 64
MAX_EXPECTED_BYTES = 1 << 20
MAX_HEADER_BYTES = HEADER_UNIT + MAX_EXPECTED_BYTES
MAX_CAPACITY = 1 << 20

ERROR_HEAD = struct.Struct("<ddI")
ERROR_TEXT_BYTES = 1024
ERROR_BYTES = 1088

LABELS = 64
LABEL_TEXT_BYTES = 42
LABEL = struct.Struct("<H42s")
LABEL_BYTES = 48

RECORD_BODY = struct.Struct(
    "<QddqqIiIII"
)  # The last u32 is kind | flags << 8 | label << 16: one field packs faster.
RECORD = struct.Struct("<60sI")
RECORD_BYTES = 64
CRC = struct.Struct("<I")

LATEST_SLOTS = 32
OPEN_SLOTS = 64

FLAG_FAILED = 1
MIN_I64, MAX_I64 = -(1 << 63), (1 << 63) - 1


class EventKind(enum.IntEnum):
    """What happened. Numbers are part of the file format: never reuse one."""

    STEP_BEGIN = 1
    """value: -1."""
    STEP_END = 2
    """value: rows of the batch, -1 unknown."""
    EPOCH_BEGIN = 3
    """value: how many epochs began so far."""
    EPOCH_END = 4
    """value: how many epochs ended so far."""
    END_OF_SEQUENCE = 5
    """The input is exhausted. value: how many times so far."""
    ROWS = 6
    """A batch arrived. value: its rows, -1 unknown."""
    SAVE_BEGIN = 7
    """value: which save it is, from 1."""
    SAVE_END = 8
    """value: that of its begin."""
    BARRIER_BEGIN = 9
    """value: which time this label is entered, from 1: comparable between ranks."""
    BARRIER_END = 10
    """value: that of its begin."""
    PHASE_BEGIN = 11
    """Something long that is no hang: evaluation, compile. value: which time for this label, from 1."""
    PHASE_END = 12
    """value: that of its begin."""
    ERROR = 13
    """value: how many errors so far; label: the kind of error."""
    EXIT = 14
    """The interpreter is about to end. value: exit code, -1 unknown."""
    CLOSE = 15
    """The job stopped recording on purpose: silence after this says nothing. value: -1."""
    TICK = 16
    """Alive, within whatever is open. value: the caller's."""


ENDS = {
    EventKind.STEP_END: EventKind.STEP_BEGIN,
    EventKind.EPOCH_END: EventKind.EPOCH_BEGIN,
    EventKind.SAVE_END: EventKind.SAVE_BEGIN,
    EventKind.BARRIER_END: EventKind.BARRIER_BEGIN,
    EventKind.PHASE_END: EventKind.PHASE_BEGIN,
}
"""Which kind ends which."""


class Offsets(object):
    """Where each area of a file begins, in bytes, and the file's size."""

    __slots__ = ("error", "labels", "latest", "opened", "ring", "total")

    def __init__(self, header_bytes: int, capacity: int) -> None:
        self.error = header_bytes
        self.labels = self.error + ERROR_BYTES
        self.latest = self.labels + LABELS * LABEL_BYTES
        self.opened = self.latest + LATEST_SLOTS * RECORD_BYTES
        self.ring = self.opened + OPEN_SLOTS * RECORD_BYTES
        self.total = self.ring + capacity * RECORD_BYTES


def header_bytes_for(expected_bytes: int) -> int:
    """Size of a header whose list of expected ranks takes that many bytes."""
    return -(-(HEADER.size + expected_bytes) // HEADER_UNIT) * HEADER_UNIT


def cut(text: str, limit: int) -> bytes:
    """UTF-8 of text, at most limit bytes, cut at a character's border."""
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore").encode("utf-8")
