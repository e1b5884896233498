"""What a process holds of its own work: its flight recorder, its framework, its event loops."""

from __future__ import annotations

from diagnostics.model.record import Record
from diagnostics.model.stack import Frame


class Event(Record, frozen=True):
    """One record of the flight recorder (see `diagnostics.recorder.layout`)."""

    at: float  # monotonic
    wall: float
    kind: str
    step: int
    epoch: int
    value: int = 0
    label: str = ""
    thread: int = 0


class OpenSpan(Record, frozen=True):
    """Something that began and has not ended: a step, an epoch, a save, a barrier, a phase."""

    kind: str
    seconds: float  # so long open when it was read
    step: int
    epoch: int
    label: str = ""


class Flight(Record, frozen=True):
    """What a rank's flight recorder held: the tail of its events and the last batch."""

    rank: str
    runtime: str
    events: tuple[Event, ...]
    open: tuple[OpenSpan, ...]
    epoch_ends: int
    steps: int  # ended so far
    count: int = 0  # events so far; the ring holds the newest of them
    torn: int = 0
    error: str = ""
    last_epoch: int = -1
    last_batch: int = -1  # index in its epoch, from 0
    last_rows: int = -1
    end_of_sequence: bool = False  # seen since the last epoch began
    read_at: float = 0.0  # monotonic
    typical_step: float = -1.0  # median of the steps that the ring holds
    step_in_epoch: int = -1  # index in its epoch of the newest step begun, from 0
    epoch_lengths: tuple[int, ...] = ()  # distinct numbers of batches of the past epochs that the ring holds


class Collective(Record, frozen=True):
    """A collective or point-to-point operation as a rank's own framework recorded it.

    From PyTorch's ring in memory, its Flight Recorder's dump, a watchdog's log. `seq` counts the collectives of a
    group, from 1; of point-to-point operations (`p2p`) it counts those, of a pair or of the group, as the backend does.
    `state`: scheduled, started, completed, timed-out. `group`: what people
    call it: its description, with its name, as descriptions may be the same.
    """

    group: str
    seq: int
    op: str
    sizes: str = ""
    state: str = ""
    frames: tuple[Frame, ...] = ()
    p2p: bool = False
    called_at: float = -1.0  # wall; -1: not known
    timeout: float = -1.0  # seconds that it may take


class Partner(Record, frozen=True, gc=False):
    """Whom a thread sends to or receives from: the other's rank in the job. `operation`: `send`, `recv`, ..."""

    tid: int
    operation: str
    rank: int


class ProcessGroup(Record, frozen=True):
    """A process group as one of its members knows it. Numbers of collectives are -1 where there is none, or unknown.

    `ranks`: the members' ranks in the job; () where they are not known. `size`: how many they are; -1: not known.
    """

    group: str  # as in `Collective`
    name: str = ""
    description: str = ""
    ranks: tuple[int, ...] = ()
    size: int = -1
    rank: int = -1  # of this member, in the group
    enqueued: int = -1
    started: int = -1
    completed: int = -1


class Coroutine(Record, frozen=True):
    """A suspended task of asyncio. `frames`: outermost coroutine first. `awaits`: the innermost's, by its type."""

    task: str
    frames: tuple[Frame, ...]
    awaits: str = ""


class LockBlock(Record, frozen=True, gc=False):
    """A lock of Python that a thread holds, or is about to take (`wanted`), where it stands, as the source tells.

    `name`: what the source calls it, as `self.lock`. `line`: where it is taken.
    """

    tid: int
    name: str
    line: int
    wanted: bool = False


class TasksWatched(Record, frozen=True):
    """Suspended tasks of asyncio, seen for `seconds`: whether all `stand`, but for those that sleep and report.

    `sleeper`: one that does, with the longest of their sleeps. `futures`: some wait for what only a thread, a pipe or a
    child could bring.
    """

    seconds: float
    stand: bool = False
    sleeper: str = ""
    futures: bool = False


class Task(Record, frozen=True):
    """A task of a cluster as a process's TensorFlow knows it. `answered`: it has told its devices, so it was there."""

    rank: str
    address: str
    answered: bool = False
