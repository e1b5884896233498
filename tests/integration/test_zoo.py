"""The zoo without a framework: every stuck arm is named by its cause, no healthy one is called hung."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import Answer

from repro import scenarios
from repro.scenario import Scenario
from repro.single import PYTHONS

Call = Callable[..., Answer]
PLAIN = [scenario for scenario in scenarios.load().values() if set(scenario.runtimes) <= set(PYTHONS)]


@pytest.mark.parametrize("scenario", PLAIN, ids=lambda scenario: scenario.name)
def test_every_arm_comes_to_what_is_known_of_it(scenario: Scenario, lastbatch: Call) -> None:
    answer = lastbatch("run", scenario.name, "--json", "--out", "out")
    assert answer.code == 0, answer.json
    for arm in answer.json["arms"]:
        expected = scenario.expected(arm["arm"], (), arm["settings"])
        assert (arm["verdict"] == "hung") == expected.hang
        assert not expected.hang or arm["finding"]["cause"] == expected.cause


@pytest.mark.parametrize("python", ["py3.6", "py3.13"])
def test_other_interpreters_locks_are_seen_as_well(python: str, lastbatch: Call) -> None:
    for name in ("lock-order", "fork-with-threads", "gil-held"):
        answer = lastbatch("run", name, "--runtime", python, "--json", "--out", f"out-{name}")
        assert answer.code == 0, (name, answer.out[:2000])
