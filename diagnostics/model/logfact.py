"""What a log says of a hang, as a value: what kind of thing, of whom, with the names and numbers that it gives."""

from __future__ import annotations

import enum

import msgspec

from diagnostics.model.record import Record


class FactKind(str, enum.Enum):
    """What a line of a log is about. A kind is what was said, not what it means."""

    TIMED_OUT = "a collective timed out"
    STATUS = "last collectives of a rank"
    MISMATCH = "ranks called different collectives"
    ABSENT = "ranks have not come to a collective"
    COUNTS = "ranks launched different numbers of collectives"
    NOT_CONNECTED = "a connection could not be made"
    NOT_JOINED = "ranks have not joined the job"
    CONNECTION_LOST = "a connection was lost"
    HEARTBEAT_LOST = "a process sends no heartbeat any more"
    ENDED = "a process ended"
    OUT_OF_MEMORY = "memory ran out"
    DEVICE = "a device or its driver failed"
    STUCK = "a watchdog saw no progress"
    STORAGE = "storage does not answer"
    INPUT = "the input failed"
    LOCK = "who holds a lock"
    ERROR = "an error"


class LogFact(Record, frozen=True):
    """A fact that a log states.

    `words` is a sentence with everything that is known. `about`: the ranks that it is about, who need not be the one
    that said it. `values`: the names and numbers as they were written (`operation`, `number`, `group`, `host`, `port`,
    `seconds`, `exit_code`, `signal`, `file`). `line`: the line itself, shortened. `times`: how often it was said.
    """

    kind: FactKind
    words: str
    about: tuple[str, ...] = ()
    values: dict[str, str] = msgspec.field(default_factory=dict)
    line: str = ""
    times: int = 1
