"""Parameter servers that wait for each other: every stuck arm is named by its cause, every healthy twin finishes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import Answer, Calls, chosen, wait_for

from diagnostics.collector import procfs
from repro import scenarios
from repro.cluster import Cluster, Member, RankSpec
from repro.cluster.local import local_cluster
from repro.runtimes import Runtime
from repro.scenario import Expected, Scenario
from repro.trial import wait_until_ready

Call = Callable[..., Answer]
Get = Callable[[str], Runtime]


def settings_of(scenario: Scenario) -> set[str]:
    return {setting.name for setting in scenario.settings}


JOBS = [scenario for scenario in scenarios.load().values() if "ps" in settings_of(scenario) and scenario.says_stuck]
"""Of workers and parameter servers."""
CASES = [("tf1.12", job.name, arm.name) for job in JOBS for arm in job.arms if arm.name not in job.slow_to_judge]
CASES += [("tf2", "sync-starved", "uneven"), ("tf2", "barrier-short", "left"), ("tf2", "session-close", "reset")]


def expected_of(name: str, arm: str, runtime: Runtime) -> Expected:
    return scenarios.find(name).expect(arm, runtime.framework_version)


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, calls: Calls, runtime: Get) -> dict[tuple[str, str, str], Future[Answer]]:
    found = {}
    for given in chosen(request, test_an_arm_comes_to_what_is_known_of_it.__name__):
        framework, name, arm = case = given["framework"], given["name"], given["arm"]
        with suppress(pytest.skip.Exception):  # the test itself tells why
            runtime(framework)
            words = ("run", name, "--arm", arm, "--runtime", framework, "--out", "out", "--json")
            found[case] = calls(f"{name}-{arm}", words)
    return found


@pytest.mark.parametrize(("framework", "name", "arm"), CASES)
def test_an_arm_comes_to_what_is_known_of_it(
    runs: dict[tuple[str, str, str], Future[Answer]], runtime: Get, framework: str, name: str, arm: str
) -> None:
    expected = expected_of(name, arm, runtime(framework))
    answer = runs[framework, name, arm].result()
    (outcome,) = answer.json["arms"]
    assert outcome["verdict"] == ("hung" if expected.hang else "finished"), answer.err
    assert not expected.hang or outcome["finding"]["cause"] == expected.cause, answer.err
    assert answer.code == 0


@contextmanager
def stuck(name: str, arm: str, runtime: Runtime, home: Path) -> Iterator[Cluster]:
    """The job without a recorder, when it stands still."""
    story = scenarios.find(name)
    settings = story.resolve({"recorder": "false"}, arm)
    specs = [RankSpec(rank, story.program, arm, settings) for rank in story.ranks(settings)]
    with local_cluster(runtime, specs, home) as cluster:
        wait_until_ready(cluster)
        wait_for(lambda: any(member.said("stuck") for member in cluster.members))
        if story.told_in_log:
            wait_for(lambda: any(log_says(member, story.told_in_log) for member in cluster.members))
        yield cluster


def log_says(member: Member, words: str) -> bool:
    return any(words in line for line in procfs.tail(member.directory / "log"))


ATTACHED = [(job.name, arm.name) for job in JOBS for arm in job.arms if job.expect(arm.name, "1.12.0").hang]


@pytest.fixture(scope="module")
def stuck_jobs(runtime: Get, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Cluster]]:
    """All of them stand still before anybody attaches to the first: so nobody has to wait for each."""
    framework = runtime("tf1.12")
    with ExitStack() as stack:
        yield {
            (name, arm): stack.enter_context(stuck(name, arm, framework, tmp_path_factory.mktemp("stuck") / "job"))
            for name, arm in ATTACHED
        }


@pytest.mark.parametrize(("name", "arm"), ATTACHED)
def test_attaching_names_it_without_a_recorder(
    lastbatch: Call, runtime: Get, stuck_jobs: dict[tuple[str, str], Cluster], name: str, arm: str
) -> None:
    """GIVEN a stuck job that carries nothing of ours, THEN its cause is named soon, and never another."""
    cause = expected_of(name, arm, runtime("tf1.12")).cause
    cluster = stuck_jobs[name, arm]

    def named() -> Any:
        left = cluster.exits()
        pids = [member.pid for member in cluster.members if member.rank not in left]
        answer = lastbatch("attach", *pids, "--json").json
        found = answer["findings"][0]["cause"] if answer["verdict"] not in ("unknown", "none") else ""
        assert found in ("", cause), answer
        return found

    wait_for(named)


def test_what_is_lost_by_stopping_at_a_global_step_is_counted(lastbatch: Call, runtime: Get) -> None:
    """GIVEN a slow worker, THEN by global step it misses rows that it sees by its own epochs; nobody hangs."""
    runtime("tf1.12")
    answer = lastbatch("run", "global-step-stop", "--epoch-ends", 2, "--set", "slower=10", "--out", "out", "--json")
    by_step, by_epochs = answer.json["arms"]
    assert (by_step["verdict"], by_epochs["verdict"]) == ("finished", "finished"), answer.err
    fast, slow = (by_step["counts"][f"worker:{index}"] for index in (0, 1))
    assert fast["rows_trained"] > fast["rows_meant"] and slow["rows_trained"] < slow["rows_meant"]
    assert slow["distinct_rows"] < slow["of_rows"]
    for counts in by_epochs["counts"].values():
        assert counts["rows_trained"] == counts["rows_meant"] and counts["distinct_rows"] == counts["of_rows"]


def test_a_chief_that_saves_first_saves_less_than_was_trained(lastbatch: Call, runtime: Get) -> None:
    runtime("tf1.12")
    answer = lastbatch("run", "chief-first", "--arm", "filtered", "--arm", "last", "--out", "out", "--json")
    first, last = (arm["counts"] for arm in answer.json["arms"])
    assert first["worker:0"]["steps_in_the_saved_model"] < first["worker:1"]["steps_done_by_all"]
    assert last["worker:0"]["steps_in_the_saved_model"] == 2 * 8 * 10
