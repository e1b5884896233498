"""Every cause says what a reader needs, its scenario exists, and its page is what its file makes of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from diagnostics.causes import Cause, load
from repro import scenarios

ROOT = Path(__file__).parents[2]


def test_pages_are_up_to_date() -> None:
    """THEN `python docs/make_causes.py` has nothing to write."""
    check = [sys.executable, str(ROOT / "docs" / "make_causes.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("cause", load(), ids=lambda cause: cause.id)
def test_a_cause_is_whole(cause: Cause) -> None:
    assert cause.remedy and cause.references and cause.versions and cause.not_to_be_taken_for
    assert not cause.scenario or scenarios.find(cause.scenario)


def test_a_scenario_runs_on_its_default_runtime() -> None:
    for scenario in scenarios.load().values():
        assert scenario.default_runtime in scenario.runtimes, scenario.name


def test_what_a_scenario_expects_is_a_known_cause() -> None:
    known = {cause.id for cause in load()}
    for scenario in scenarios.load().values():
        for arm in scenario.arms:
            expected = scenario.expected(arm.name, (1, 12, 0), scenario.resolve({}, arm.name))
            assert not expected.cause or expected.cause in known, (scenario.name, arm.name)
