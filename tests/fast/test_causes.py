"""Every cause says what a reader needs, its scenario exists, and its page is what its file makes of it."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import msgspec
import pytest

from diagnostics.analyze.facts import Facts
from diagnostics.causes import Case, Cause, find_all, load
from diagnostics.causes.kinds import FRAMEWORKS, KINDS, LANGUAGES, kinds_of
from diagnostics.causes.weights import WEIGHTS
from diagnostics.errors import MissingError
from diagnostics.model import Collection, Frame, Process, Sample, Thread, ThreadSample, Versions
from repro import scenarios
from repro.scenario import Need
from repro.study import remedies

ROOT = Path(__file__).parents[2]


def test_pages_are_up_to_date(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """THEN `python docs/make_causes.py` has nothing to write."""
    program = ROOT / "docs" / "make_causes.py"
    monkeypatch.setattr(sys, "argv", [str(program), "--check"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(program), run_name="__main__")
    assert end.value.code == 0, capsys.readouterr().out


@pytest.mark.parametrize("cause", load(), ids=lambda cause: cause.id)
def test_a_cause_is_whole(cause: Cause) -> None:
    assert cause.remedies and cause.references and cause.versions and cause.not_to_be_confused_with
    assert len({remedy.id for remedy in cause.remedies}) == len(cause.remedies)
    assert not cause.scenario or scenarios.find(cause.scenario)


def test_every_weight_is_of_a_cause_and_used() -> None:
    """THEN the table has a prior for each cause, and no row that no file names."""
    known = {cause.id for cause in load()}
    assert known == {weight.cause for weight in WEIGHTS if weight.observation == "prior"}
    source = "".join(path.read_text("utf-8") for path in (ROOT / "diagnostics" / "causes").glob("*.py"))
    unused = [w for w in WEIGHTS if w.observation != "prior" and f'"{w.observation}"' not in source]
    assert not unused


def test_observations_that_depend_on_each_other_count_once() -> None:
    """GIVEN "not scheduled" and then "hung" of one cause THEN the case is as strong as with the stronger alone."""
    both, stronger = Case("condition-lost-wakeup"), Case("condition-lost-wakeup")
    both.saw("not-scheduled", "none ran", "two samples")
    both.saw("hung", "it hangs", "two samples")
    stronger.saw("hung", "it hangs", "two samples")
    assert both.confidence == stronger.confidence and len(both.evidence) == 2


def test_a_remedy_that_can_be_tried_has_the_words_of_its_cause() -> None:
    assert "one parameter server" in remedies.find("one-server").line


def test_a_cause_that_raises_costs_only_itself() -> None:
    """GIVEN a cause that fails on this evidence THEN the others still answer, and its failure is named."""
    broken = msgspec.structs.replace(load()[0], id="broken", examine=lambda facts: 1 / 0)
    stopped = Sample(1.0, (ThreadSample(7, "python", "T", 1.0, 5, 5),))
    rank = Process("worker:0", 7, "h", samples=(stopped, stopped))
    findings, errors = find_all(Facts(Collection(0.0, 0.0, (rank,))), (broken, *load()))
    assert findings[0].family == "frozen"
    assert [error.stage for error in errors] == ["cause broken"]


def test_a_scenario_runs_on_its_default_runtime() -> None:
    for scenario in scenarios.load().values():
        assert scenario.default_runtime in scenario.runtimes, scenario.name


def test_what_a_scenario_expects_is_a_known_cause() -> None:
    known = {cause.id for cause in load()}
    for scenario in scenarios.load().values():
        for arm in scenario.arms:
            expected = scenario.expected(arm.name, (1, 12, 0), scenario.resolve({}, arm.name))
            assert not expected.cause or expected.cause in known, (scenario.name, arm.name)
            assert expected.hang == (expected.truth not in ("none", "slow")), (scenario.name, arm.name)


def test_a_scenario_s_traits_fit_its_arms() -> None:
    """GIVEN every arm with its own settings THEN its culprit is one of its ranks, and no look-alike hangs."""
    for scenario in scenarios.load().values():
        assert {*scenario.slow_to_judge} <= {arm.name for arm in scenario.arms}, scenario.name
        for arm in scenario.arms:
            expected = scenario.expect(arm.name, "1.12.0")
            started_by_hand = {**scenario.resolve({}, arm.name), "launch": "hand"}
            assert not expected.culprit or expected.culprit in scenario.ranks(started_by_hand)
            assert not (scenario.lookalike and expected.hang), (scenario.name, arm.name)


def test_a_scenario_says_what_this_machine_lacks() -> None:
    """GIVEN a scenario that needs a program nobody has THEN it is said before anything starts, with how to get it."""
    story = msgspec.structs.replace(scenarios.find("lock-order"), needs=(Need("no-such-program", "make one"),))
    with pytest.raises(MissingError, match="lock-order needs no-such-program"):
        story.require()


_NAMES = {
    "torch": r"DistributedDataParallel|process_group|\bdist\.|TORCH_|DistributedSampler",
    "tensorflow": r"\btf\.|RunOptions|py_function|operation_timeout|device filters|distributed datasets",
    "python": r"\bthreading\.|queue\.Queue|RLock|wait_for\(|communicate\(|os\.register|Thread\(|Barrier\.|`with ",
    "compiled": r"std::|pthread_cond|posix_spawn",
}
"""By what a text of one framework or language is known."""
_OF_ONE = (
    "coroutine-locks", "dataloader", "event-loop", "gil-held", "lock-owner-gone", "pool-task-lost", "queue-not-drained",
    "shared-lock-left",
)  # fmt: skip
"""Causes that only programs of one language, or users of one library, have."""


@pytest.mark.parametrize("cause", load(), ids=lambda cause: cause.id)
def test_a_remedy_that_names_a_frameworks_means_is_for_its_users_alone(cause: Cause) -> None:
    for remedy in () if cause.only or cause.id.startswith(_OF_ONE) else cause.remedies:
        named = {kind for kind, words in _NAMES.items() if re.search(words, remedy.text)}
        assert named <= {remedy.only}, remedy.text
    for language in LANGUAGES:
        assert any(remedy.only in ("", language) for remedy in cause.remedies), "nothing is left to do"
    assert {cause.only, *(remedy.only for remedy in cause.remedies)} <= {"", *KINDS}


@pytest.mark.parametrize(
    ("process", "kinds"),
    [
        (
            Process("pid:1", 1, "a", versions=Versions(python="3.11", framework="torch", kernel="6")),
            {"python", "torch"},
        ),
        (Process("pid:1", 1, "a", versions=Versions(python="3.11", kernel="6")), {"python"}),
        (
            Process(
                "a",
                1,
                "a",
                threads=(Thread(1, "x", (Frame("main", "solve", native=True),)),),
                versions=Versions(kernel="6"),
            ),
            {"compiled"},
        ),
        (Process("a", 1, "a", threads=(Thread(1, "x", (Frame("fit", "train.py", 3),)),)), {"python", *FRAMEWORKS}),
        (Process("a", 0, ""), KINDS),
    ],
    ids=["torch", "Python alone", "C++", "a dump, whose libraries are not known", "a log"],
)
def test_what_a_job_is_made_of_is_told_by_its_libraries_and_stacks(process: Process, kinds: set[str]) -> None:
    assert kinds_of((process,)) == kinds
