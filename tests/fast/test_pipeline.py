"""The way from evidence to an answer, where the disk does not take part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from diagnostics import bundle, pipeline
from diagnostics.errors import MissingError
from diagnostics.model import Collection, Process
from diagnostics.transport import Here

FIRST = Collection(1.0, 2.0, (Process("worker:0", 1, "a"),))


def test_what_is_on_disk_stays_where_more_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GIVEN a disk with room for one bundle, WHEN the framework tells more, THEN the answer names what is there."""
    written: list[Collection] = []

    def write(path: Path, collection: Collection, _: Mapping[str, object]) -> Path:
        if written:
            raise MissingError("no space is left", "Free some")
        written.append(collection)
        return path

    more = msgspec.structs.replace(FIRST, expected=("worker:1",))
    monkeypatch.setattr(bundle, "write", write)
    monkeypatch.setattr(pipeline, "enrich", lambda *_: (more, ()))
    answer = pipeline.answer(FIRST, out=tmp_path / "job.tar.zst", reach=Here())
    assert written == [FIRST] and answer.bundle == tmp_path / "job.tar.zst"
    assert answer.not_written and "no space" in answer.not_written.message
    assert answer.collection.expected == ("worker:1",), "the answer knows all of it"
