"""A study's file: what it keeps, what a second owner finds, what is no study."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from diagnostics.errors import EvidenceError, LastbatchError, UsageError
from repro.study.cell import Cell
from repro.study.engine import share_out
from repro.study.resume import opened
from repro.study.store import Result, Study

CELL = Cell("baseline", "last-batch", "dataset", "tf1.12", {"ps": "2"}, ("burn:1",))


def test_everything_written_is_read_back(tmp_path: Path) -> None:
    result = Result(
        "hung", "why", 7, 1.5, 9.0, "cause", "a waits for b", 1.1, 0.5, 2.5, {"burn:1": {"cpu_seconds": 3.0}}
    )
    with Study.create(tmp_path / "s.sqlite", {"asked": {"seed": 1}}, [CELL]) as study:
        study.end(study.start("baseline", 100), result)
        study.lose(study.start("baseline", 100), "node died")
        study.start("baseline", 100)
    with Study.open(tmp_path / "s.sqlite") as study:
        assert study.cells() == {"baseline": CELL} and study.about()["asked"] == {"seed": 1}
        first, second, third = study.trials()
    assert first.result == result and first.state == "ended"
    assert (second.state, second.result and second.result.why) == ("lost", "node died")
    # Nobody ended the third: whoever opens the study next knows that its owner is gone.
    assert (third.state, third.result) == ("lost", None)


def test_a_study_is_not_overwritten_nor_mixed_with_another_question(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with opened(path, {"seed": 1}) as study:
        assert study.trials() == []
        with pytest.raises(LastbatchError, match="another process runs"), opened(path, {"seed": 1}):
            pass
    with pytest.raises(LastbatchError, match="is there already"):
        Study.create(path, {}, [])
    with pytest.raises(UsageError, match="seed differ"), opened(path, {"seed": 2}):
        pass


@pytest.mark.parametrize("content", [b"", b"not a database" * 100])
def test_what_is_no_study_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s.sqlite"
    path.write_bytes(content)
    with pytest.raises(EvidenceError, match="is not a study"):
        Study.open(path)
    with pytest.raises(EvidenceError, match="there is no study"):
        Study.open(tmp_path / "other.sqlite")


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    Study.create(path, {}, []).__exit__(None, None, None)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE study SET value = '99' WHERE name = 'format'")
    connection.close()
    with pytest.raises(EvidenceError, match="has format 99"):
        Study.read(path)


def test_cores_are_shared_out_without_overlap() -> None:
    assert share_out([3, 1, 2, 0, 4], 2) == [(0, 1), (2, 3)]
    with pytest.raises(UsageError, match="cannot have 6 cores"):
        share_out(range(5), 6)
