"""A study: one SQLite file with what was asked, every cell, and every trial in the order they were started.

A trial is written before it starts and again when it has ended, each in a transaction, so that a study that was
killed at any moment goes on with `Study.open`. What had not ended by then counts as lost.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from diagnostics.errors import EvidenceError, LastbatchError
from repro.study.cell import Cell
from repro.study.rates import Count

FORMAT = 2

_TABLES = """
CREATE TABLE study (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE cell (label TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE trial (
  number INTEGER PRIMARY KEY,
  cell TEXT NOT NULL REFERENCES cell,
  target INTEGER NOT NULL,
  started REAL NOT NULL,
  ended REAL,
  state TEXT NOT NULL CHECK (state IN ('running', 'ended', 'lost')),
  verdict TEXT, cause TEXT, epoch_ends INTEGER, training REAL,
  result TEXT
);
"""


class Result(msgspec.Struct, frozen=True):
    """What a trial came to. Times in seconds unless they say otherwise.

    `verdict` as in `repro.trial.Outcome`, or `unknown`: the time was up and a rank was silent, nobody can say whether
    it hung. `shape` is who waits for whom, by role. `contention` is (CPU time + time it waited for a core) / CPU
    time of all ranks; `others` the cores that other processes used meanwhile. `error_after_ms` is the median time
    from the start of an epoch's last step to its error. `moved` is what each stressor did.
    """

    verdict: str
    why: str = ""
    epoch_ends: int = 0
    training: float = 0.0
    wall: float = 0.0
    cause: str = ""
    shape: str = ""
    contention: float = -1.0
    others: float = -1.0
    error_after_ms: float = -1.0
    moved: dict[str, dict[str, float]] = {}
    host: str = ""
    cores: tuple[int, ...] = ()
    evidence: str = ""

    @property
    def fingerprint(self) -> str:
        return f"{self.cause}; {self.shape}" if self.cause else ""


class Trial(msgspec.Struct, frozen=True):
    """`number` is its place in the order of starting; `result` is None while it runs."""

    number: int
    cell: str
    target: int
    state: str
    result: Result | None = None

    def count(self, fingerprint: str) -> Count:
        """Its hits and exposure. A hang of another fingerprint ends the exposure and is no hit of this one.

        Unknown, failed and lost trials count as nothing: neither a hit nor a proof of none.
        """
        result = self.result
        if result is None or result.verdict not in ("hung", "finished", "time-limit"):
            return Count()
        if result.verdict != "hung":
            return Count(0, result.epoch_ends)
        if not result.cause:
            return Count()
        return Count(int(result.fingerprint == fingerprint), result.epoch_ends + 1)


def settled(trials: Sequence[Trial]) -> list[Trial]:
    """Trials up to the first that still runs: hangs end early, so counting beyond it would favour them."""
    found = []
    for trial in trials:
        if trial.state == "running":
            break
        found.append(trial)
    return found


def reference(trials: Sequence[Trial]) -> str:
    """The fingerprint that counts as a hit: the first hang's whose cause was named. "" while there is none."""
    return next((trial.result.fingerprint for trial in trials if trial.result and trial.result.fingerprint), "")


def counts(trials: Sequence[Trial]) -> dict[str, Count]:
    """Cell label -> hits and exposure, over settled trials."""
    trials = settled(trials)
    fingerprint, found = reference(trials), dict[str, Count]()
    for trial in trials:
        found[trial.cell] = found.get(trial.cell, Count()) + trial.count(fingerprint)
    return found


class Study:
    """The open file. Use as a context manager; one process at a time writes."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    def create(cls, path: Path, about: dict[str, Any], cells: Sequence[Cell] = ()) -> Study:
        """A new study. `about` is what was asked: plain values. Raises: LastbatchError: the file is there already."""
        if path.exists():
            raise LastbatchError(
                f"{path} is there already", "The same command goes on with it; or name another file with --study"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = _connect(path)
        with connection:
            connection.executescript("BEGIN;" + _TABLES)
            for name, value in {**about, "format": FORMAT, "began": time.time()}.items():
                connection.execute("INSERT INTO study VALUES (?, ?)", (name, _text(value)))
        study = cls(path, connection)
        for cell in cells:
            study.add_cell(cell)
        return study

    @classmethod
    def open(cls, path: Path) -> Study:
        """Go on with a study; trials that its last owner did not end are lost.

        Raises:
            EvidenceError: it is not a study.
        """
        study = cls.read(path)
        with study._connection as connection:
            connection.execute("UPDATE trial SET state = 'lost', ended = ? WHERE state = 'running'", (time.time(),))
        return study

    @classmethod
    def read(cls, path: Path) -> Study:
        """Look at a study without touching it. Raises: EvidenceError: it is not a study."""
        if not path.is_file():
            raise EvidenceError(f"there is no study {path}", "Name one that compare, bisect, shrink or verify wrote")
        connection = _connect(path)
        study = cls(path, connection)
        try:
            known = study.about().get("format")
        except (sqlite3.DatabaseError, msgspec.DecodeError) as error:
            connection.close()
            raise EvidenceError(f"{path} is not a study: {error}") from None
        if known != FORMAT:
            connection.close()
            raise EvidenceError(f"{path} has format {known}, this release reads {FORMAT}")
        return study

    def __enter__(self) -> Study:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def about(self) -> dict[str, Any]:
        rows = self._connection.execute("SELECT name, value FROM study")
        return {name: msgspec.json.decode(value) for name, value in rows}

    def cells(self) -> dict[str, Cell]:
        rows = self._connection.execute("SELECT label, value FROM cell ORDER BY rowid")
        return {label: msgspec.json.decode(value, type=Cell) for label, value in rows}

    def add_cell(self, cell: Cell) -> None:
        """No effect if it is there already."""
        with self._connection as connection:
            connection.execute("INSERT OR IGNORE INTO cell VALUES (?, ?)", (cell.label, _text(cell)))

    def trials(self) -> list[Trial]:
        """All trials, in the order of starting."""
        rows = self._connection.execute("SELECT number, cell, target, state, result FROM trial ORDER BY number")
        return [
            Trial(number, cell, target, state, msgspec.json.decode(result, type=Result) if result else None)
            for number, cell, target, state, result in rows
        ]

    def start(self, cell: str, target: int) -> int:
        """Write that a trial starts; gives its number."""
        with self._connection as connection:
            row = connection.execute(
                "INSERT INTO trial (cell, target, started, state) VALUES (?, ?, ?, 'running')",
                (cell, target, time.time()),
            )
        return int(row.lastrowid or 0)

    def end(self, number: int, result: Result) -> None:
        self._finish(number, "ended", result)

    def lose(self, number: int, why: str) -> None:
        """Its machine or process went away before it had ended."""
        self._finish(number, "lost", Result("lost", why))

    def _finish(self, number: int, state: str, result: Result) -> None:
        values = (
            state,
            time.time(),
            result.verdict,
            result.cause,
            result.epoch_ends,
            result.training,
            _text(result),
            number,
        )
        with self._connection as connection:
            connection.execute(
                "UPDATE trial SET state = ?, ended = ?, verdict = ?, cause = ?, epoch_ends = ?, training = ?, "
                "result = ? WHERE number = ?",
                values,
            )


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=30)


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
