"""Opening a study, so that the same question goes on where it stopped, and only one process runs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock, Timeout

from diagnostics.errors import LastbatchError, UsageError
from repro.study.store import Study


@contextmanager
def opened(path: Path, asked: Mapping[str, Any]) -> Iterator[Study]:
    """The study of this question: a new one, or the one in the file if it asks the same.

    Raises:
        UsageError: the file holds another question.
        LastbatchError: another process runs it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_suffix(".lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise LastbatchError(f"another process runs the study {path}", "Name another file with --study") from None
    with lock:
        asked = msgspec.json.decode(msgspec.json.encode(asked))  # as it will be read back
        if not path.exists():
            with Study.create(path, {"asked": asked}) as study:
                yield study
            return
        with Study.open(path) as study:
            if (before := study.about()["asked"]) != asked:
                differing = sorted(key for key in {*before, *asked} if before.get(key) != asked.get(key))
                raise UsageError(
                    f"{path} holds another study: {', '.join(differing)} differ", "Name another file with --study"
                )
            yield study
