"""What runs inside a job, or travels to its hosts, is understood by the oldest Python that jobs run on."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from conftest import lacking

from diagnostics.errors import MissingError
from repro.runtimes import discover

ROOT = Path(__file__).parents[2]
TRAVELS = ("diagnostics/collector", "diagnostics/recorder", "diagnostics/redaction")
RUNS = (*TRAVELS, "repro/nodes")
ALONE = ("diagnostics/__init__.py", "diagnostics/transport/travel.py", "repro/__init__.py")
COMPILE = """
import json, sys
for path in json.load(sys.stdin):
    with open(path, encoding="utf-8") as file:
        compile(file.read(), path, "exec")
    print(path)
"""
IMPORT = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
for name in json.load(sys.stdin):
    importlib.import_module(name)
    print(name)
"""


@pytest.fixture(scope="module")
def oldest() -> Path:
    for found in discover():
        if found.minor == "3.6":
            return found.python
    lacking(MissingError("there is no CPython 3.6 on this machine", "pyenv install 3.6"))


def told(python: Path, program: str, names: list[str]) -> list[str]:
    """What it says of each, by itself: with the standard library alone."""
    done = subprocess.run(
        [python, "-I", "-S", "-B", "-c", program, ROOT],
        input=json.dumps(names),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_it_is_compiled(oldest: Path) -> None:
    files = [str(ROOT / name) for name in ALONE]
    files += [str(path) for folder in RUNS for path in sorted((ROOT / folder).rglob("*.py"))]
    assert len(files) > 100 and told(oldest, COMPILE, files) == files


def test_what_travels_is_imported_by_the_standard_library_alone(oldest: Path) -> None:
    files = [path.relative_to(ROOT) for folder in TRAVELS for path in sorted((ROOT / folder).rglob("*.py"))]
    names = [".".join(path.with_suffix("").parts) for path in files if path.stem not in ("__main__", "__init__")]
    assert len(names) > 60 and told(oldest, IMPORT, names) == names
