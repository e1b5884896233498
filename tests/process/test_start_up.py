"""A user whose job stands still asks for help, then attaches: neither waits for what studies and containers need."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {"anyio", "docker", "jinja2", "markupsafe", "mcp", "numpy", "psutil", "pyroute2", "ray", "scipy"}

CALL = """
import json, sys
from repro.cli import app
app(sys.argv[1:], standalone_mode=False)
json.dump(sorted(sys.modules), sys.stderr)
"""


def imported_by(*words: str) -> tuple[str, set[str]]:
    """What `lastbatch WORDS` prints, and the modules that a fresh interpreter has imported by then."""
    done = subprocess.run([sys.executable, "-c", CALL, *words], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, set(json.loads(done.stderr))


def test_the_list_of_commands_imports_none_of_them() -> None:
    said, modules = imported_by("--help")
    assert "attach" in said and "repro.cli" in modules
    assert not modules & HEAVY
    ours = {name for name in modules if name.partition(".")[0] == "repro"}
    assert ours == {"repro", "repro.cli"}
    assert "diagnostics.pipeline" not in modules and "diagnostics.cli.attach" not in modules


@pytest.mark.parametrize("name", ["attach", "watch", "diagnose", "trace", "mcp"])
def test_diagnostics_import_neither_studies_nor_containers(name: str) -> None:
    said, modules = imported_by(name, "--help")
    assert f"lastbatch {name}" in said and f"diagnostics.cli.{name}" in modules
    assert not modules & HEAVY
    assert {module for module in modules if module.startswith("repro.")} == {"repro.cli"}


def test_attach_imports_what_explains_evidence_when_it_has_begun_to_collect() -> None:
    _, modules = imported_by("attach", "--help")
    assert "diagnostics.transport.here" in modules
    assert not modules & {f"diagnostics.{name}" for name in ("analyze.diagnose", "bundle", "causes", "report.terminal")}


def test_the_main_scenario_starts_without_what_studies_need() -> None:
    said, modules = imported_by("run", "--help")
    assert "SCENARIO" in said and "repro.cli.run" in modules
    assert not modules & (HEAVY - {"psutil"}), "processes of this machine need no container and no statistics"
