"""Names of functions from real libraries, whose sorted tables are kept."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from diagnostics.collector.stacks.unwind.symbols import File


def library(path: Path, function: str, build_id: str) -> Path:
    source = f"int {function}(void) {{ return 1; }} int unused_{function}(int x) {{ return {function}() + x; }}"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", f"-Wl,--build-id={build_id}", "-x", "c", "-o", path, "-"],
        input=source, text=True, check=True,
    )  # fmt: skip
    return path


def all_names(file: File) -> set[str]:
    return {file.name(address) for address in file._table.starts}


@pytest.mark.parametrize("build_id", ["sha1", "none"])
def test_a_table_is_sorted_once_also_without_a_build_id(tmp_path: Path, build_id: str) -> None:
    """GIVEN a library that was read once, THEN its kept table serves again; GIVEN another in its place, THEN not."""
    cache = tmp_path / "cache"
    path = library(tmp_path / "lib.so", "first", build_id)
    assert {"first", "unused_first"} <= all_names(File(str(path), str(cache)))
    (kept,) = cache.iterdir()
    before = kept.stat().st_mtime_ns
    assert {"first", "unused_first"} <= all_names(File(str(path), str(cache)))
    assert [entry.stat().st_mtime_ns for entry in cache.iterdir()] == [before], "it was not sorted again"

    path.unlink()
    library(path, "other", build_id)
    assert {"other", "unused_other"} <= all_names(File(str(path), str(cache)))
    assert len(list(cache.iterdir())) == 2
