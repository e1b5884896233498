"""What a collection means: findings, waits, culprits, and the verdict over them."""

from __future__ import annotations

from diagnostics.model.position import Position, WaitKind
from diagnostics.model.record import Record
from diagnostics.model.state import State


class Evidence(Record, frozen=True):
    """An observed fact, with the ranks it was seen on and where it came from."""

    fact: str
    source: str
    ranks: tuple[str, ...] = ()


class Finding(Record, frozen=True):
    """A cause with the evidence for it, against it and missing. `confidence` is a probability, 0 to 1."""

    cause: str
    family: str
    confidence: float
    title: str
    evidence: tuple[Evidence, ...]
    against: tuple[Evidence, ...] = ()
    missing: tuple[str, ...] = ()
    remedy: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


class Wait(Record, frozen=True):
    """`rank` cannot go on before `on` does something. `why` names it; `kind` is what ends the wait.

    Both are ranks, other threads of one (`worker:0 thread 4711`), or something outside: an address, a file.
    """

    rank: str
    on: str
    why: str
    seconds: float = -1.0
    kind: WaitKind = WaitKind.UNKNOWN


class Culprit(Record, frozen=True):
    """A rank at the end of the waiting: it holds the others up, whether or not a cause is known.

    `why` says by what that is known; `position` is where it stands, None where that could not be seen.
    """

    rank: str
    pid: int
    host: str
    confidence: float
    why: str
    position: Position | None = None


class StageError(Record, frozen=True):
    """Something of ours that failed on this evidence, which costs only its own share of the answer."""

    stage: str  # `cause throttled`, `symbols torch`, `importer gdb`
    error: str


class StackNode(Record, frozen=True, gc=False):
    """A node of the merged prefix tree: a frame, the ranks whose stacks pass through it, and how often."""

    function: str
    file: str
    native: bool
    ranks: tuple[str, ...]
    threads: int
    children: tuple[StackNode, ...] = ()


class RankClass(Record, frozen=True):
    """Ranks whose stacks look the same. `waits_in` is the innermost significant frame of their main thread."""

    ranks: tuple[str, ...]
    waits_in: str
    states: tuple[State, ...]


class Diagnosis(Record, frozen=True):
    """What a collection means. `verdict` is a family, `none` (healthy) or `unknown`."""

    verdict: str
    summary: str
    findings: tuple[Finding, ...]
    next_evidence: tuple[str, ...]
    hung: bool | None = None  # None: it cannot be told
    culprits: tuple[Culprit, ...] = ()
    errors: tuple[StageError, ...] = ()
    waits: tuple[Wait, ...] = ()
    classes: tuple[RankClass, ...] = ()
    tree: tuple[StackNode, ...] = ()
    standing: str = ""  # of the summary the first part: who is held up, and where
